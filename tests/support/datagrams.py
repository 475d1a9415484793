"""UDP between namespaces from the test's own process: nothing is spawned, and sockets have all options."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fabric.kernel.namespaces import inside

SECONDS_MAX = 10.0
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2


@contextmanager
def bound(pid: int, address: str, port: int = 5000) -> Iterator[socket.socket]:
    """Yield a UDP socket in the namespace of `pid`; it waits SECONDS_MAX for a datagram."""
    with inside(pid):
        opened = socket.socket(type=socket.SOCK_DGRAM)
    with opened:
        opened.settimeout(SECONDS_MAX)
        opened.bind((address, port))
        yield opened


def whole_only(sender: socket.socket) -> None:
    """Set DF on what is sent: what does not fit is refused, not cut."""
    sender.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)


def payload(packet_bytes: int) -> bytes:
    """Return what makes an IPv4 packet of that length with its IP and UDP headers."""
    return bytes(packet_bytes - 28)
