"""The members of an ipset made ready for tests: one look-up for each length of prefix, the longest first.

Types are hash:ip, hash:net, hash:ip,port and hash:net,port; members read as `ipset save` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Protocol

from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, UnknownRule
from fabric.kernel.fake_netfilter.protocols import protocol_number
from fabric.netstate.rules import IpSet

WITH_PORTS = frozenset({TCP, UDP, SCTP, UDPLITE})
_DIMENSIONS = {"hash:ip": 1, "hash:net": 1, "hash:ip,port": 2, "hash:net,port": 2}
_Key = tuple[int, int, int]


class Addressed(Protocol):
    """The ends of a packet, about which a set is asked."""

    @property
    def source(self) -> int: ...
    @property
    def destination(self) -> int: ...
    @property
    def source_port(self) -> int: ...
    @property
    def destination_port(self) -> int: ...
    @property
    def protocol(self) -> int: ...
    @property
    def icmp_type(self) -> int: ...
    @property
    def icmp_code(self) -> int: ...


class MemberTable:
    """A set as a table: by mask, then by network and port, True for a match and False for `nomatch`."""

    def __init__(self, members: IpSet) -> None:
        if members.type not in _DIMENSIONS:
            raise UnknownRule(f"ipset {members.name}: type {members.type} is not known to the model")
        self._dimensions = _DIMENSIONS[members.type]
        found: dict[int, dict[_Key, bool]] = {}
        for text in members.members:
            mask, keys, is_match = _member(text, members)
            found.setdefault(mask, {}).update(dict.fromkeys(keys, is_match))
        self._tables = sorted(found.items(), reverse=True)

    def has(self, packet: Addressed, directions: tuple[bool, ...]) -> bool:
        """True when the packet's ends are in the set; a direction is True for `src`, False for `dst`."""
        if len(directions) < self._dimensions:
            return False
        address = packet.source if directions[0] else packet.destination
        protocol = port = 0
        if self._dimensions == 2:
            protocol, port = packet.protocol, _port(packet, directions[1])
        for mask, keys in self._tables:
            found = keys.get((address & mask, protocol, port))
            if found is not None:
                return found
        return False


def _port(packet: Addressed, is_source: bool) -> int:
    if packet.protocol in WITH_PORTS:
        return packet.source_port if is_source else packet.destination_port
    if packet.protocol in (ICMP, ICMPV6):
        return packet.icmp_type << 8 | packet.icmp_code
    return 0


def _member(text: str, members: IpSet) -> tuple[int, Iterable[_Key], bool]:
    place, *options = text.split(" ")
    if options not in ([], ["nomatch"]):
        raise UnknownRule(f"ipset {members.name}: member {text!r}: options but nomatch are not known")
    address, _, port = place.partition(",")
    if bool(port) != (_DIMENSIONS[members.type] == 2):
        raise UnknownRule(f"ipset {members.name}: member {text!r} is none of a {members.type}")
    network = ip_network(address)
    if (network.version == 4) != (members.family == 4):
        raise UnknownRule(f"ipset {members.name}: member {text!r} is not of its family")
    number = int(network.network_address)
    keys = ((number, protocol, it) for protocol, it in _ports(port))
    return int(network.netmask), keys, not options


def _ports(text: str) -> Iterable[tuple[int, int]]:
    """Return protocols and ports of `tcp:80`, `udp:53-60`, `80` (TCP), `icmp:8/0`; (0, 0) without any."""
    if not text:
        return [(0, 0)]
    name, _, ports = text.rpartition(":")
    protocol = protocol_number(name or "tcp") or 0
    if protocol in (ICMP, ICMPV6):
        kind, _, code = ports.partition("/")
        if not (kind.isdecimal() and code.isdecimal()):
            raise UnknownRule(f"ipset member {text!r}: give the ICMP message as type/code")
        return [(protocol, int(kind) << 8 | int(code))]
    low, _, high = ports.partition("-")
    return [(protocol, port) for port in range(int(low), int(high or low) + 1)]
