"""The socket for outer packets: protocol 4 goes out and comes in, and ICMP's word on what went out is heard.

It is a raw socket whose packets bring their header (raw(7), IP_HDRINCL). With IP_RECVERR the kernel tells in
the error queue what ICMP said of earlier packets, and of a packet that its own device is too small for. An
error that waits there fails the next send, which is then tried again.
"""

from __future__ import annotations

import errno
import socket
import struct

from fabric.runtime.builtin import ipip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.builtin.routes import Hop

_IP_RECVERR = 11
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_BUFFER_BYTES = 4 << 20
_SEND_TRIES_MAX = 3
_ERRORS_MAX = 64
_ERROR = struct.Struct("=IBBBxII")
"""struct sock_extended_err of linux/errqueue.h."""
_BY_THIS_HOST = 1
_MTU_MIN = 68
"""The least that IPv4 allows a link (RFC 791)."""


class Outer:
    """The reader of ICMP errors: each path MTU that one tells goes to `learn(gateway, mtu)`."""

    def __init__(self, learn: Callable[[bytes, int], None]) -> None:
        self._learn = learn
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, ipip.PROTOCOL)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, packet: memoryview | bytes, hop: Hop) -> int:
        """Send it, or lose it, and return 0; or return the MTU that it is too long for."""
        for _ in range(_SEND_TRIES_MAX):
            if len(packet) > hop.mtu:
                return hop.mtu
            try:
                self._socket.sendto(packet, hop.address)
                return 0
            except BlockingIOError:
                return 0
            except OSError:
                mtu, others = self.heed()
                if mtu or not others:
                    return mtu
        return 0

    def receive(self, room: memoryview) -> int:
        """Return the size of the next packet, with its header; 0 when there is none."""
        for _ in range(_SEND_TRIES_MAX):
            try:
                return self._socket.recv_into(room)
            except BlockingIOError:
                return 0
            except OSError:
                self.heed()
        return 0

    def heed(self) -> tuple[int, int]:
        """Take what the error queue has; return the MTU of this host's device, or 0, and how many others."""
        mtu = others = 0
        for _ in range(_ERRORS_MAX):
            try:
                _, told, _, about = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in told:
                if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR):
                    continue
                number, origin, _, _, info, _ = _ERROR.unpack_from(data)
                if origin == _BY_THIS_HOST:
                    mtu = info if number == errno.EMSGSIZE else mtu
                    continue
                others += 1
                if number == errno.EMSGSIZE and info >= _MTU_MIN:
                    self._learn(socket.inet_aton(about[0]), info)
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # Of errors the queue had no room for.
        return mtu, others
