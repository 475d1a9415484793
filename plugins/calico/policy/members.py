"""The owners of addresses: pods, host endpoints and sets of networks, each with its labels.

Policies of Calico match packets, and a packet has addresses and no names: a selector in a rule means every
address of whatever it selects. Finished pods and pods of the host's network are nobody's members.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calico.policy import labels
from calico.policy.labels import Labels
from calico.policy.services import Services
from calico.selector import Node
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import Endpoint, Port, World, protocol_number
from fabric.plugin.policy_reading import Value

GROUP = "projectcalico.org"


@dataclass(frozen=True, slots=True)
class Member:
    """An owner of addresses."""

    labels: Labels
    networks: tuple[IPNetwork, ...]
    ports: tuple[Port, ...] = ()


class Members:
    """All owners of addresses of a world."""

    def __init__(self, world: World, hosts: Iterable[Member]) -> None:
        accounts = labels.accounts(world)
        self.services = Services(world)
        self._pods = {
            it: Member(labels.of_pod(it, world, accounts), _alone(it.addresses), it.ports)
            for it in world.pods
            if not it.is_host_network
        }
        self._by_address: dict[IPAddress, list[Member]] = {}
        self._wider: list[Member] = []
        self.sets = tuple(_sets(world))
        for member in (*self._pods.values(), *hosts, *self.sets):
            if any(it.num_addresses > 1 for it in member.networks):
                self._wider.append(member)
                continue
            for network in member.networks:
                self._by_address.setdefault(network.network_address, []).append(member)

    def of_pod(self, pod: Endpoint) -> Member:
        return self._pods[pod]

    def at(self, address: IPAddress) -> Iterator[Member]:
        """Everybody who owns that address."""
        yield from self._by_address.get(address, ())
        yield from (it for it in self._wider if any(address in network for network in it.networks))

    def selects(self, selector: Node, address: IPAddress) -> bool:
        return any(selector.matches(it.labels) for it in self.at(address))

    def serves(self, address: IPAddress, name: str, protocol: int, port: int, among: Node | None) -> bool:
        """Whether a selected owner of the address declares a port of that name, protocol and number."""
        wanted = Port(port, protocol, name)
        return any(wanted in it.ports for it in self.at(address) if among is None or among.matches(it.labels))


def declared_ports(value: Value) -> tuple[Port, ...]:
    """The named ports of a host endpoint."""
    found = []
    for entry in value:
        entry.only("name", "protocol", "port")
        protocol = entry["protocol"]
        try:
            number = protocol_number(protocol.value if protocol.is_given else "TCP")
        except ValueError as error:
            protocol.refuse(str(error))
        found.append(Port(entry["port"].whole(1) or 0, number, entry["name"].text()))
    return tuple(found)


def _alone(addresses: Iterable[IPAddress]) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(it) for it in addresses)


def _sets(world: World) -> Iterator[Member]:
    for kind in ("NetworkSet", "GlobalNetworkSet"):
        for obj in world.of_kind(kind, GROUP):
            whole = Value.of(obj)
            own = whole["metadata"]["labels"].labels()
            networks = whole["spec"].only("nets")["nets"].networks()
            if kind == "NetworkSet":
                namespace = whole["metadata"]["namespace"].text("default")
                own = {**labels.of_namespace(namespace, world), **own, labels.NAMESPACE: namespace}
            yield Member(own, networks)
