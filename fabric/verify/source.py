"""A source of probes: a namespace that is held open, and the sockets that are opened in it.

Each try is a flow of its own, by a source port or an ICMP identifier that has not been used for as long as
can be: where a filter knows a connection already, it may pass although a new one would not. The numbers are
taken in turn, from a cycle of prime length, so that one comes back to the same job as late as possible.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
from collections.abc import Callable

from fabric.runtime.builtin.echo import PROBE
from fabric.verify import echo, icmp_errors
from fabric.verify.probes import Job

PORTS_FIRST, PORTS = 32768, 28229
"""Of Linux' own range for outgoing connections, 32768 to 60999, as many as are prime."""
IDENTIFIERS = 65521
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_DOMAINS = {4: socket.AF_INET, 6: socket.AF_INET6}
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: no socket waits in TIME_WAIT for a connection that nobody used."""
_SO_TIMESTAMPNS = 35
_TRIES_OF_REQUESTS = 3
DROPPED = {
    errno.EPERM: "its own filter drops what it sends",
    errno.ENOBUFS: "its own device drops what it sends",
}
"""Errors of sending that TCP does not tell: a packet is lost, and the next one may not be."""


class Source:
    """The namespace of a process; `enter` moves the calling thread into one."""

    def __init__(self, pid: int, enter: Callable[[int], None]) -> None:
        self._enter = enter
        self._namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._next_port, self._next_identifier = random.randrange(PORTS), random.randrange(IDENTIFIERS)
        self.sequence = random.getrandbits(16)
        """Tells this source's echo requests from those of other programs in its namespace."""
        self._raw: dict[tuple[int, str], socket.socket] = {}

    def close(self) -> None:
        os.close(self._namespace)
        for opened in self._raw.values():
            opened.close()

    def begin(self, job: Job) -> tuple[socket.socket, str]:
        """Open a socket and begin to connect, or send a datagram; OSError when Linux does not let it.

        The text says why it is lost already, where that is known.
        """
        hint = ""
        self._enter(self._namespace)
        opened = socket.socket(_DOMAINS[job.version], *_KINDS[job.protocol])
        try:
            opened.setblocking(False)
            icmp_errors.enable(opened, job.version)
            self._bind(opened, job)
            if job.protocol == "udp":
                opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                opened.connect((job.address, job.port))
                hint = _unless_dropped(lambda: opened.send(PROBE))
            else:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                number = opened.connect_ex((job.address, job.port))
                if number not in (0, errno.EINPROGRESS):
                    raise OSError(number, os.strerror(number))
        except BaseException:
            opened.close()
            raise
        return opened, hint

    def raw(self, job: Job) -> tuple[socket.socket, bool]:
        """Return the socket for echo requests, and whether it is new."""
        key = (job.version, job.source_address)
        found = self._raw.get(key)
        if found is not None:
            return found, False
        self._enter(self._namespace)
        opened = echo.raw_socket(job.version)
        try:
            opened.setblocking(False)
            icmp_errors.enable(opened, job.version)
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if job.source_address:
                opened.bind((job.source_address, 0))
        except BaseException:
            opened.close()
            raise
        self._raw[key] = opened
        return opened, True

    def request(self, opened: socket.socket, job: Job) -> tuple[int, str]:
        """Send an echo request; return its identifier, and why it is lost already. OSError as `begin`."""
        self._next_identifier = (self._next_identifier + 1) % IDENTIFIERS
        packet = echo.request(job.version, self._next_identifier, self.sequence)
        for left in range(_TRIES_OF_REQUESTS, 0, -1):
            # The ICMP error that another request was answered with would be the answer to any call, once.
            opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            try:
                hint = _unless_dropped(lambda: opened.sendto(packet, (job.address, 0)))
                return self._next_identifier, hint
            except OSError:
                if left == 1:
                    raise
        raise AssertionError("the last try returns or raises")

    def _bind(self, opened: socket.socket, job: Job) -> None:
        """Take the next free port: another prober in this namespace may hold long rows of them."""
        for _ in range(PORTS):
            self._next_port = (self._next_port + 1) % PORTS
            try:
                opened.bind((job.source_address, PORTS_FIRST + self._next_port))
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, f"all {PORTS} source ports are taken")


def _unless_dropped(send: Callable[[], int]) -> str:
    try:
        send()
    except OSError as error:
        if error.errno not in DROPPED:
            raise
        return f"{DROPPED[error.errno]} ({error.strerror})"
    return ""
