"""A packet on its way through the hooks: addresses as numbers, and all that rules ask and change.

Matches and targets are functions of it; what they need to know of the namespace stands in `World`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from fabric.kernel.fake_netfilter.members import MemberTable
from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, Nat, Packet, State
from fabric.kernel.fake_netfilter.routing import Routing
from fabric.kernel.fake_netfilter.tracking import Connection, Connections
from fabric.netstate.objects import IPAddress
from fabric.netstate.rules import Family

FLAG_BITS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
_NO_ERROR_V4 = frozenset({0, 8, 9, 10, 13, 14, 15, 16, 17, 18})


@dataclass(frozen=True, slots=True)
class World:
    """The parts of a namespace that a rule may ask about."""

    sets: Mapping[str, MemberTable]
    routing: Routing
    connections: Connections


@dataclass(slots=True)
class Skb:
    """The packet as it is now; `original` is how it came."""

    original: Packet
    world: World
    family: Family
    source: int
    destination: int
    protocol: int
    source_port: int
    destination_port: int
    icmp_type: int
    icmp_code: int
    flags: int
    in_interface: str
    out_interface: str
    mark: int
    inner: Skb | None
    hook: str = ""
    next_hop: int | None = None
    state: State | None = None
    connection: Connection | None = None
    is_reply: bool = False
    nat: list[Nat] = field(default_factory=list)

    @classmethod
    def of(cls, packet: Packet, world: World) -> Skb:
        return cls(
            packet,
            world,
            packet.family,
            int(packet.source),
            int(packet.destination),
            packet.protocol,
            packet.source_port,
            packet.destination_port,
            packet.icmp_type,
            packet.icmp_code,
            sum(FLAG_BITS[name] for name in packet.flags),
            packet.in_interface,
            packet.out_interface,
            packet.mark,
            None if packet.inner is None else cls.of(packet.inner, world),
        )

    @property
    def is_icmp_error(self) -> bool:
        """True for an ICMP message about another packet."""
        if self.protocol == ICMPV6:
            return self.icmp_type < 128
        return self.protocol == ICMP and self.icmp_type not in _NO_ERROR_V4

    def address(self, number: int) -> IPAddress:
        return IPv4Address(number) if self.family == 4 else IPv6Address(number)

    def packet(self) -> Packet:
        """Return the packet as it is now."""
        return Packet(
            self.address(self.source),
            self.address(self.destination),
            self.protocol,
            self.source_port,
            self.destination_port,
            self.icmp_type,
            self.icmp_code,
            self.original.flags,
            self.in_interface,
            self.out_interface,
            self.mark,
            self.state,
            None if self.inner is None else self.inner.packet(),
        )
