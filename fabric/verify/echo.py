"""ICMP echo from many namespaces by one thread: a raw socket in each, all read by one selector.

A request says in its identifier who sent it and in its sequence number to whom; a reply must come back to the
socket that asked, from the address that was asked, with the same bytes.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fabric.kernel.namespaces import inside

_ICMP_FILTER, _ICMPV6_FILTER, _SOL_RAW = 1, 1, 255
_PAYLOAD = b"fabric reachability check 012345"
_PAYLOAD_SUM = sum(struct.unpack(f"!{len(_PAYLOAD) // 2}H", _PAYLOAD))
_HEADER = struct.Struct("!BBHHH")
OUTSTANDING_MAX = 256
LATE_SECONDS = 0.05
"""A request that is not answered for so long makes room for others; its answer still counts."""
RECEIVE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Family:
    """The numbers that differ between ICMP and ICMPv6."""

    domain: int
    protocol: int
    request: int
    reply: int


_FAMILIES = {
    4: _Family(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0),
    6: _Family(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129),
}


class Pinger:
    """The pinger sends echo requests from the namespaces of the given processes, each known by a number."""

    def __init__(self, pids: Mapping[int, int], version: int) -> None:
        """`pids`: by the number of the source, below 65,536."""
        self._version = version
        self._sockets: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        try:
            for index, pid in pids.items():
                with inside(pid):
                    opened = raw_socket(version)
                self._sockets[index] = opened
                self._selector.register(opened, selectors.EVENT_READ, index)
        except BaseException:
            self.close()
            raise

    def ping(
        self,
        pairs: Iterable[tuple[int, int]],
        addresses: Sequence[str],
        *,
        wait_seconds: float,
        answered: Callable[[int], None] = lambda count: None,
    ) -> set[tuple[int, int]]:
        """Ask once for each (source index, target index); return the pairs that were not answered.

        `wait_seconds` from the last request or answer on.
        """
        waiting = iter(pairs)
        open_pairs: set[tuple[int, int]] = set()
        unsent: set[tuple[int, int]] = set()
        fresh: dict[tuple[int, int], float] = {}
        exhausted = False
        deadline = time.monotonic() + wait_seconds
        while True:
            while not exhausted and len(fresh) < OUTSTANDING_MAX:
                pair = next(waiting, None)
                if pair is None:
                    exhausted = True
                elif self._send(pair, addresses[pair[1]]):
                    open_pairs.add(pair)
                    fresh[pair] = time.monotonic()
                    deadline = fresh[pair] + wait_seconds
                else:
                    unsent.add(pair)
            before = len(open_pairs)
            self._receive(open_pairs, addresses)
            now = time.monotonic()
            if len(open_pairs) < before:
                answered(before - len(open_pairs))
                deadline = now + wait_seconds
            fresh = {it: sent for it, sent in fresh.items() if it in open_pairs and now - sent < LATE_SECONDS}
            if exhausted and (not open_pairs or now > deadline):
                return open_pairs | unsent

    def close(self) -> None:
        self._selector.close()
        for opened in self._sockets.values():
            opened.close()

    def _send(self, pair: tuple[int, int], address: str) -> bool:
        source, target = pair
        packet = request(self._version, source, target)
        try:
            self._sockets[source].sendto(packet, (address, 0))
        except OSError:
            return False
        return True

    def _receive(self, open_pairs: set[tuple[int, int]], addresses: Sequence[str]) -> None:
        for key, _ in self._selector.select(0.02):
            try:  # one of each socket: what else it has makes the next look return at once
                packet, sender = self._sockets[key.data].recvfrom(2048)
            except OSError:
                continue
            pair = reply(self._version, packet)
            if pair in open_pairs and pair[0] == key.data and addresses[pair[1]] == sender[0]:
                open_pairs.discard(pair)


def raw_socket(version: int) -> socket.socket:
    """Open a socket for echo requests and their replies, and no other message, in this thread's namespace."""
    family = _FAMILIES[version]
    opened = socket.socket(family.domain, socket.SOCK_RAW, family.protocol)
    opened.setblocking(False)
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    if version == 4:
        only_replies = struct.pack("=I", ~(1 << family.reply) & 0xFFFFFFFF)
        opened.setsockopt(_SOL_RAW, _ICMP_FILTER, only_replies)
    else:
        passed = bytearray(b"\xff" * 32)
        passed[family.reply // 32 * 4 : family.reply // 32 * 4 + 4] = struct.pack(
            "=I", ~(1 << family.reply % 32) & 0xFFFFFFFF
        )
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, bytes(passed))
    return opened


def request(version: int, identifier: int, sequence: int) -> bytes:
    """Return an echo request."""
    kind = _FAMILIES[version].request
    total = (kind << 8) + identifier + sequence + _PAYLOAD_SUM
    return _HEADER.pack(kind, 0, _checksum(total), identifier, sequence) + _PAYLOAD


def reply(version: int, packet: bytes) -> tuple[int, int]:
    """Return identifier and sequence number of a reply as a raw socket has it; (-1, -1) for none of ours."""
    message = packet[(packet[0] & 0x0F) * 4 :] if version == 4 else packet
    if len(message) < 8 or message[0] != _FAMILIES[version].reply or message[8:] != _PAYLOAD:
        return (-1, -1)
    _, _, _, identifier, sequence = _HEADER.unpack_from(message)
    return (identifier, sequence)


def _checksum(total: int) -> int:
    """Return the Internet checksum (RFC 1071) of a message whose words of 16 bits have that sum."""
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
