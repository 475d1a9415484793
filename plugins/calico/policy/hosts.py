"""Host endpoints: which of them guards a device of a node, and which ports stay open whatever they say.

A host endpoint is for the device that it names, for all (`*`), or for those that have one of its expected
addresses. Of several for one device the first by name counts; `*` counts where none is for the device.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calico.policy.labels import Labels
from calico.policy.members import GROUP, Member, declared_ports
from calico.policy.rules import Packet
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import PROTOCOLS, Direction, Port, World, protocol_number
from fabric.plugin.policy_reading import Value

EVERY_DEVICE = "*"
_FIELDS = ("node", "interfaceName", "expectedIPs", "profiles", "ports")
_TCP_BOTH = (179, 2379, 2380, 5473, 6443, 6666, 6667)


@dataclass(frozen=True, slots=True)
class FailsafePort:
    """A port of a host that no policy closes."""

    protocol: int
    port: int
    network: IPNetwork | None = None
    """The peers for whom it stays open; None is everybody."""


def _ports(tcp: Iterable[int], udp: Iterable[int]) -> tuple[FailsafePort, ...]:
    both = ((PROTOCOLS["tcp"], tcp), (PROTOCOLS["udp"], udp))
    return tuple(FailsafePort(protocol, port) for protocol, ports in both for port in ports)


FAILSAFE: Mapping[Direction, tuple[FailsafePort, ...]] = {
    "ingress": _ports((22, *_TCP_BOTH), (68,)),
    "egress": _ports(_TCP_BOTH, (53, 67)),
}
_FAILSAFE_FIELDS: Mapping[Direction, str] = {
    "ingress": "failsafeInboundHostPorts",
    "egress": "failsafeOutboundHostPorts",
}


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """A HostEndpoint, read."""

    name: str
    node: str
    device: str
    """Empty where the addresses say which."""
    addresses: tuple[IPAddress, ...]
    profiles: tuple[str, ...]
    labels: Labels
    ports: tuple[Port, ...]

    def __str__(self) -> str:
        what = self.device or ", ".join(map(str, self.addresses))
        return f"HostEndpoint {self.name} (node/{self.node} {what})"

    def guards(self, device: str, addresses: Iterable[IPAddress]) -> bool:
        if self.device:
            return self.device == device
        return any(it in self.addresses for it in addresses)

    def as_member(self) -> Member:
        return Member(self.labels, tuple(map(ipaddress.ip_network, self.addresses)), self.ports)


def read_all(world: World, inherited: Mapping[str, Labels]) -> tuple[HostEndpoint, ...]:
    """Every host endpoint by name; `inherited`: the labels that a profile applies, by its name."""
    found = [_read(Value.of(obj), inherited) for obj in world.of_kind("HostEndpoint", GROUP)]
    return tuple(sorted(found, key=lambda it: it.name))


def _read(whole: Value, inherited: Mapping[str, Labels]) -> HostEndpoint:
    spec = whole["spec"].only(*_FIELDS)
    profiles = spec["profiles"].texts()
    labels: dict[str, str] = {}
    for profile in reversed(profiles):
        labels |= inherited.get(profile, {})
    return HostEndpoint(
        whole["metadata"]["name"].text(),
        spec["node"].text(),
        spec["interfaceName"].text(),
        tuple(it.network().network_address for it in spec["expectedIPs"]),
        profiles,
        {**labels, **whole["metadata"]["labels"].labels()},
        declared_ports(spec["ports"]),
    )


def failsafe_ports(value: Value, direction: Direction) -> tuple[FailsafePort, ...] | None:
    """The ports that a FelixConfiguration's spec names; None where it says nothing."""
    entries = value[_FAILSAFE_FIELDS[direction]]
    if not entries.is_given:
        return None
    found = []
    for entry in entries:
        entry.only("protocol", "port", "net")
        try:
            protocol = protocol_number(entry["protocol"].text("tcp") or "tcp")
        except ValueError as error:
            entry["protocol"].refuse(str(error))
        network = entry["net"].network() if entry["net"].text() else None
        found.append(FailsafePort(protocol, entry["port"].whole() or 0, network))
    return tuple(found)


def is_failsafe(ports: Iterable[FailsafePort], packet: Packet, direction: Direction) -> bool:
    peer = packet.source if direction == "ingress" else packet.destination
    return any(
        (it.protocol, it.port) == (packet.protocol, packet.port)
        and (it.network is None or peer in it.network)
        for it in ports
    )
