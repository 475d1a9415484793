"""A rule of a Calico policy: an action, and what a packet must have so that the rule matches.

All that is given must hold. Within a list one item is enough; of a `not…` list none may hold. A rule whose
networks are all of the other IP version does not exist for a packet, whether they are wanted or excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from calico.policy.members import Members
from calico.selector import Node
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import PROTOCOLS, WITH_PORTS, Port

ALLOW, DENY, LOG, PASS = "Allow", "Deny", "Log", "Pass"
ACTIONS = (ALLOW, DENY, LOG, PASS)
_ICMP = frozenset((PROTOCOLS["icmp"], PROTOCOLS["icmpv6"]))


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection, where a policy sees it."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int = 0
    port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0

    @property
    def version(self) -> int:
        return self.source.version


@dataclass(frozen=True, slots=True)
class PortMatch:
    """An entry of `ports`: a range of numbers, or a name."""

    first: int = 0
    last: int = 0
    name: str = ""
    path: str = field(default="", compare=False)
    """Where it stands in the policy."""


@dataclass(frozen=True, slots=True)
class Icmp:
    """A type of ICMP messages, or one code of a type; None is any."""

    type: int | None = None
    code: int | None = None

    def matches(self, packet: Packet) -> bool:
        return (
            packet.protocol in _ICMP
            and self.type in (None, packet.icmp_type)
            and self.code in (None, packet.icmp_code)
        )


@dataclass(frozen=True, slots=True)
class Entity:
    """A `source` or `destination` of a rule."""

    networks: tuple[IPNetwork, ...] = ()
    not_networks: tuple[IPNetwork, ...] = ()
    selector: Node | None = None
    """With the namespaces and service accounts that it is restricted to."""
    not_selector: Node | None = None
    ports: tuple[PortMatch, ...] = ()
    not_ports: tuple[PortMatch, ...] = ()
    service: tuple[str, str] | None = None
    """Namespace and name."""
    path: str = field(default="", compare=False)
    """Where it stands in the policy."""

    def exists_for(self, version: int) -> bool:
        lists = (self.networks, self.not_networks)
        return all(not it or any(network.version == version for network in it) for it in lists)

    def restricts_peer(self) -> bool:
        """Whether it says anything of addresses, and not of ports alone."""
        peers = (self.networks, self.not_networks, self.selector, self.not_selector, self.service)
        return any(it not in (None, ()) for it in peers)

    def mismatch(self, packet: Packet, address: IPAddress, port: int, named: int, members: Members) -> str:
        """Say what does not hold of one end of a packet; `named` is the protocol of ports with a name."""
        if self.networks and not _inside(address, self.networks):
            return f"{address} is in none of its nets"
        if _inside(address, self.not_networks):
            return f"{address} is in its notNets"
        if self.selector is not None and not members.selects(self.selector, address):
            return f"{address} is nobody that {self.selector} selects"
        if self.not_selector is not None and members.selects(self.not_selector, address):
            return f"{address} is selected by notSelector {self.not_selector}"

        def has(wanted: tuple[PortMatch, ...]) -> bool:
            return packet.protocol in WITH_PORTS and any(
                packet.protocol == named and members.serves(address, it.name, named, port, self.selector)
                if it.name
                else it.first <= port <= it.last
                for it in wanted
            )

        if self.ports and not has(self.ports):
            return f"port {port} is none of its ports"
        if self.not_ports and has(self.not_ports):
            return f"port {port} is one of its notPorts"
        return ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a policy or profile."""

    index: int
    action: str
    text: str = ""
    version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: Icmp | None = None
    not_icmp: Icmp | None = None
    source: Entity = field(default_factory=Entity)
    destination: Entity = field(default_factory=Entity)

    def mismatch(self, packet: Packet, members: Members) -> str:
        """Why the rule does not match; empty when it does."""
        return next(filter(None, self._mismatches(packet, members)), "")

    def _mismatches(self, packet: Packet, members: Members) -> Iterator[str]:
        entities = (self.source, self.destination)
        if self.version not in (None, packet.version) or not all(
            it.exists_for(packet.version) for it in entities
        ):
            yield f"it is no rule for IPv{packet.version}"
        if self.protocol not in (None, packet.protocol):
            yield f"its protocol is {_name(self.protocol)}"
        if self.not_protocol == packet.protocol:
            yield f"its notProtocol is {_name(self.not_protocol)}"
        if self.icmp is not None and not self.icmp.matches(packet):
            yield f"ICMP type {packet.icmp_type} is not what it wants"
        if self.not_icmp is not None and self.not_icmp.matches(packet):
            yield f"ICMP type {packet.icmp_type} is its notICMP"
        named = self.protocol if self.protocol in WITH_PORTS else PROTOCOLS["tcp"]
        assert named is not None
        for entity, address, port in (
            (self.source, packet.source, packet.source_port),
            (self.destination, packet.destination, packet.port),
        ):
            yield entity.mismatch(packet, address, port, named, members)
        yield from _services(self, packet, members)


def _services(rule: Rule, packet: Packet, members: Members) -> Iterator[str]:
    """A service as source means its addresses; as destination, their ports too."""
    ends: tuple[tuple[Entity, Callable[[set[tuple[IPAddress, int, int]]], bool]], ...] = (
        (rule.source, lambda places: any(it[0] == packet.source for it in places)),
        (rule.destination, lambda places: (packet.destination, packet.protocol, packet.port) in places),
    )
    for entity, is_among in ends:
        if entity.service is not None and not is_among(members.services.places(*entity.service)):
            yield f"it is no endpoint of service {'/'.join(entity.service)}"


def _inside(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    return any(address in it for it in networks)


def _name(protocol: int | None) -> str:
    return next((name for name, number in PROTOCOLS.items() if number == protocol), str(protocol))


__all__ = ["ACTIONS", "ALLOW", "DENY", "LOG", "PASS", "Entity", "Icmp", "Packet", "Port", "PortMatch", "Rule"]
