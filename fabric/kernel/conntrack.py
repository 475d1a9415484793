"""Conntrack's table of a namespace: entries that fit a plan's flows are found by one dump and deleted.

Layouts are those of linux/netfilter/nfnetlink_conntrack.h. A kernel without the conntrack subsystem of
netlink (nf_conntrack_netlink) keeps its entries until they time out; that is told in the log.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from fabric.kernel.netlink import NLM_F_DUMP, Request, Socket, attribute, attributes
from fabric.netstate.flows import Flow
from fabric.netstate.objects import Family, IPAddress

NETLINK_NETFILTER = 12
_SUBSYSTEM = 1 << 8
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_IP, _PROTO = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_FAMILIES: dict[Family, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_ADDRESSES: dict[Family, tuple[int, int]] = {4: (1, 2), 6: (3, 4)}
_NESTED = 0x8000
_ABSENT = {errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Direction:
    """The addresses and ports of one direction of a connection; without ports these are 0."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection: how it was sent, how it is answered, and the bytes by which it is deleted."""

    original: Direction
    reply: Direction
    identity: bytes


def forget(netfilter: Socket, flows: Collection[Flow]) -> int:
    """Delete the entries that fit any of the flows, and return their number; one dump a family at most."""
    deletions: list[Request] = []
    for family in sorted({flow.family for flow in flows}):
        wanted = [flow for flow in flows if flow.family == family]
        try:
            found = [it for it in entries(netfilter, family) if any(fits(flow, it) for flow in wanted)]
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            log.info("conntrack entries stay until they time out: %s", error.strerror)
            return 0
        deletions += [Request(_DELETE, 0, _head(family) + it.identity) for it in found]
    refused = [error for error in netfilter.change(deletions) if error and error.errno != errno.ENOENT]
    if refused:
        raise refused[0]
    return len(deletions)


def entries(netfilter: Socket, family: Family) -> Iterator[Entry]:
    """Yield the namespace's connections."""
    for _, body in netfilter.dump(_GET, _head(family), NLM_F_DUMP):
        found = attributes(body, 4)
        original, reply = (_direction(found.get(kind, b""), family) for kind in (_ORIGINAL, _REPLY))
        if original is not None and reply is not None:
            yield Entry(original, reply, _identity(found))


def fits(flow: Flow, entry: Entry) -> bool:
    """True when the entry is one of the flow's."""
    sent, answered = entry.original, entry.reply
    if flow.answered_by is not None:
        address, port = flow.answered_by
        is_udp = sent.protocol == socket.IPPROTO_UDP
        return is_udp and answered.source == address and port in (0, answered.source_port)
    if flow.ports is None:
        return flow.address in (sent.source, sent.destination, answered.source, answered.destination)
    low, high = flow.ports
    is_udp = sent.protocol == socket.IPPROTO_UDP
    return is_udp and low <= sent.destination_port <= high and flow.address in (None, sent.destination)


def _head(family: Family) -> bytes:
    return struct.pack("=BBH", _FAMILIES[family], 0, 0)


def _identity(found: dict[int, bytes]) -> bytes:
    kinds = ((_ORIGINAL, _ORIGINAL | _NESTED), (_ID, _ID), (_ZONE, _ZONE))
    return b"".join(attribute(kind, found[key]) for key, kind in kinds if key in found)


def _direction(data: bytes, family: Family) -> Direction | None:
    found = attributes(data)
    addresses, protocol = attributes(found.get(_IP, b"")), attributes(found.get(_PROTO, b""))
    source, destination = (addresses.get(kind) for kind in _ADDRESSES[family])
    if source is None or destination is None or _NUMBER not in protocol:
        return None
    ports = (int.from_bytes(protocol.get(kind, b""), "big") for kind in (_SOURCE_PORT, _DESTINATION_PORT))
    return Direction(ip_address(source), ip_address(destination), protocol[_NUMBER][0], *ports)
