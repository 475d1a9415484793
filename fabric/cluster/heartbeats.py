"""The client of a node's heartbeats opens its sockets in the node's namespace: they cross the underlay.

It speaks once the node's device has its link. A switch forwards nothing from a port before that, and an ARP
request that is lost is sent again only after a second.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from fabric.control.http import HttpClient
from fabric.kernel.carrier import is_running
from fabric.kernel.namespaces import inside

SEGMENT_BYTES = 1000
"""Of a heartbeat's TCP connection: a trunk that is too small shows in pods' packets, not in silent nodes."""
SECONDS_MAX = 10.0
"""A quarter of a lease, as kubelet has it."""


def heartbeat_client(
    url: str, pki: Path, node: str, device: str, pid: Callable[[], int | None]
) -> HttpClient:
    """Return a node's client for the API server at `url`; `pid` is the node's init, None while it is off."""

    def opener(family: int, kind: int) -> socket.socket:
        found = pid()
        if found is None:
            raise OSError(errno.ENETDOWN, f"{node} is off")
        return open_socket(found, device, family, kind)

    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.pem")
    return HttpClient.through(url, context, opener, SECONDS_MAX)


def open_socket(pid: int, device: str, family: int, kind: int) -> socket.socket:
    """Open a socket in the namespace of process `pid`; OSError while its device has no link."""
    with inside(pid):
        opened = socket.socket(family, kind)
    try:
        if not is_running(opened, device):
            raise OSError(errno.ENETDOWN, f"{device} has no link")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        # What a partition left unanswered is dropped with the request, not retransmitted for minutes.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SECONDS_MAX * 1000))
    except BaseException:
        opened.close()
        raise
    return opened
