"""ICMP errors to the senders of packets that the tunnel does not take.

They leave through a raw socket, so the kernel routes them and gives them the source that its own would have.
They could not come in through the tunnel's device: nothing that has an address of this host as
its source may.
"""

from __future__ import annotations

import socket
import time

from fabric.runtime.builtin import ipip

_INTERNETWORK_CONTROL = 0xC0
"""The type of service of ICMP errors (RFC 1812, 4.3.2.5)."""
_SOL_RAW, _ICMP_FILTER, _EVERYTHING = 255, 1, b"\xff" * 4
"""What comes in is not for this socket."""
_PER_SECOND, _BURST = 1000.0, 50.0
"""As net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst have it."""


class Complaints:
    """The ICMP socket of a carrier."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _INTERNETWORK_CONTROL)
        self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, _EVERYTHING)
        self._left, self._counted = _BURST, time.monotonic()

    def tell(self, code: int, packet: memoryview, mtu: int = 0) -> None:
        """Tell the sender of a packet that it came no further, where that is allowed and not too often."""
        if not self._may_speak() or not ipip.may_be_told_of(packet):
            return
        try:
            sender = socket.inet_ntoa(packet[12:16])
            self._socket.sendto(ipip.unreachable(code, packet, mtu), (sender, 0))
        except OSError:
            return  # There is no way back to the sender either.

    def _may_speak(self) -> bool:
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._counted) * _PER_SECOND)
        self._counted = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
