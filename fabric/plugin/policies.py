"""The nouns of a question about policies, and the port to a network plugin's answer.

A `World` is what policies speak of: endpoints with their labels and addresses, namespaces, and the policies
themselves as plain JSON. A `Flow` is the first packet of a connection in it, a `Verdict` says whether it
arrives and what decided. An `Evaluator` reads a world by the rules of one network plugin, from the
specification alone: nothing of it is shared with what the plugin programs into Linux.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

from fabric.api.objects import Object
from fabric.netstate.objects import IPAddress

Direction = Literal["egress", "ingress"]
PROTOCOLS: Mapping[str, int] = {
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "icmpv6": 58,
    "sctp": 132,
    "udplite": 136,
}
"""Protocols that have a name in policies, in lower case, by their number in the IP header."""
WITH_PORTS = frozenset(PROTOCOLS[name] for name in ("tcp", "udp", "sctp"))
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"


def protocol_number(protocol: str | int) -> int:
    """The number of `TCP`, `tcp`, `6` or 6; ValueError for an unknown word."""
    text = str(protocol).lower()
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if text.isdecimal() and int(text) < 256:
        return int(text)
    raise ValueError(f"unknown protocol {protocol!r}: a number, or one of {', '.join(PROTOCOLS)}")


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a pod's containers declare."""

    number: int
    protocol: int = PROTOCOLS["tcp"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod, a node, or an address outside of the cluster."""

    kind: Literal["pod", "node", "address"]
    name: str
    namespace: str = ""
    addresses: tuple[IPAddress, ...] = ()
    """One for each family, the primary first."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    service_account: str = "default"
    node: str = ""
    """The node that it runs on; a node's own name."""
    ports: tuple[Port, ...] = ()
    is_host_network: bool = False
    """True for a pod in its node's network namespace: to policies it is the node."""
    tunnels: Mapping[str, IPAddress] = field(default_factory=dict, hash=False)
    """Of a node: addresses of its tunnel devices, by the devices' names, where its objects tell them."""

    def __str__(self) -> str:
        prefix = {"pod": self.namespace, "node": "node"}.get(self.kind)
        return f"{prefix}/{self.name}" if prefix else self.name

    def address(self, version: int) -> IPAddress | None:
        """Its address of that IP version."""
        return next((it for it in self.addresses if it.version == version), None)

    def numbers(self, name: str, protocol: int) -> frozenset[int]:
        """The ports of that name and protocol: none, one, or one of each of several containers."""
        return frozenset(it.number for it in self.ports if (it.name, it.protocol) == (name, protocol))

    @property
    def host(self) -> str:
        """The node whose network namespace it is in; empty for a pod of its own and an outside address."""
        return self.node if self.kind == "node" or self.is_host_network else ""


def outside(address: str | IPAddress) -> Endpoint:
    """The endpoint of an address that nothing in the cluster has."""
    return Endpoint("address", str(address), addresses=(ipaddress.ip_address(str(address)),))


@dataclass(frozen=True)
class World:
    """A cluster, or what a folder of manifests says of one."""

    endpoints: tuple[Endpoint, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels by name; the label kubernetes.io/metadata.name is always among them."""
    objects: tuple[Object, ...] = ()
    """Policies of every kind, and what they refer to: tiers, sets of networks, service accounts, services."""

    def of_kind(self, kind: str, group: str = "") -> tuple[Object, ...]:
        """The objects of that kind, by the group of their apiVersion."""
        return self._by_kind.get((group, kind), ())

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        return self.namespaces.get(namespace, {})

    def at(self, address: IPAddress) -> Endpoint:
        """The owner of that address: a pod before a node before somebody outside."""
        return self._by_address.get(address) or outside(address)

    @cached_property
    def pods(self) -> tuple[Endpoint, ...]:
        return tuple(it for it in self.endpoints if it.kind == "pod")

    @cached_property
    def nodes(self) -> Mapping[str, Endpoint]:
        return {it.name: it for it in self.endpoints if it.kind == "node"}

    @cached_property
    def _by_kind(self) -> Mapping[tuple[str, str], tuple[Object, ...]]:
        found: dict[tuple[str, str], list[Object]] = {}
        for obj in self.objects:
            found.setdefault((group_of(obj), str(obj.get("kind", ""))), []).append(obj)
        return {key: tuple(objects) for key, objects in found.items()}

    @cached_property
    def _by_address(self) -> Mapping[IPAddress, Endpoint]:
        rank = {"address": 0, "node": 1, "pod": 2}
        rising = sorted(self.endpoints, key=lambda it: rank[it.kind] - 2 * it.is_host_network)
        return {address: it for it in rising for address in (*it.tunnels.values(), *it.addresses)}


def group_of(obj: Object) -> str:
    """The group of an object's apiVersion; empty for the core group."""
    group, slash, _ = str(obj.get("apiVersion", "")).partition("/")
    return group if slash else ""


@dataclass(frozen=True, slots=True)
class Flow:
    """The first packet of a connection; its replies go the other way, and are not asked for."""

    source: Endpoint
    destination: Endpoint
    protocol: int = PROTOCOLS["tcp"]
    port: int = 0
    """The destination port; 0 where the protocol has none."""
    source_port: int = 49152
    icmp_type: int = 8
    icmp_code: int = 0
    version: int = 0
    """The IP version; 0 is the first one that both ends have."""

    @property
    def family(self) -> int:
        """4 or 6; 0 where no IP version is common to both ends."""
        if self.version:
            return self.version
        theirs = {it.version for it in self.destination.addresses}
        return next((it.version for it in self.source.addresses if it.version in theirs), 0)

    def __str__(self) -> str:
        names = {number: name for name, number in PROTOCOLS.items()}
        name = names.get(self.protocol, f"protocol {self.protocol}")
        if self.protocol in (PROTOCOLS["icmp"], PROTOCOLS["icmpv6"]):
            port = f" type {self.icmp_type}"
        else:
            port = f" port {self.port}" if self.protocol in WITH_PORTS else ""
        return f"{self.source} to {self.destination}, {name}{port}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The word of one end, or of one host on the way, on a flow."""

    direction: Direction
    at: str
    """Whose word it is: `default/pod-1`, `node/node-1`."""
    allowed: bool
    why: str
    """A sentence: the rule that decided, or that none matched, or that nothing selects it."""
    policy: str = ""
    """The policy that decided: `NetworkPolicy default/web`; empty where none did."""
    rule: int | None = None
    """Index of the rule among those of its direction, from 0 as in `spec.ingress[0]`."""
    text: str = ""
    """The rule as JSON in one line."""
    selected_by: tuple[str, ...] = ()
    """The policies that apply to it in this direction, in the order in which they are read."""
    notes: tuple[str, ...] = ()
    """What was passed on the way: Log and Pass rules, staged policies."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a flow arrives, and what each place on its way says, in order."""

    decisions: tuple[Decision, ...] = ()

    @property
    def allowed(self) -> bool:
        return all(it.allowed for it in self.decisions)

    def of(self, direction: Direction) -> Iterator[Decision]:
        return (it for it in self.decisions if it.direction == direction)


@dataclass(frozen=True, slots=True)
class PeerDescription:
    """The meaning of one element of a rule's peers."""

    path: str
    """`spec.ingress[0].from[1]`, `spec.ingress[0].source`."""
    endpoints: tuple[Endpoint, ...]
    """Those of the world; an address for each network that it means by a name."""
    has_networks: bool = False
    """True where networks are written out: there, addresses outside of the world are meant."""


@dataclass(frozen=True, slots=True)
class PortDescription:
    """The meaning of one entry of the ports at a rule's destination."""

    path: str
    protocol: int
    first: int = 0
    last: int = 65535
    name: str = ""

    def is_served_by(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint declares such a port."""
        return any(
            it.protocol == self.protocol
            and (it.name == self.name if self.name else self.first <= it.number <= self.last)
            for it in endpoint.ports
        )


@dataclass(frozen=True, slots=True)
class RuleDescription:
    """The meaning of one rule in its world."""

    direction: Direction
    index: int
    peers: tuple[PeerDescription, ...] = ()
    """Empty where everybody is meant."""
    ports: tuple[PortDescription, ...] = ()
    """Empty where every port is meant."""
    covered_by: int | None = None
    """Index of an earlier rule of the same policy that decides all that this one could."""


@dataclass(frozen=True, slots=True)
class Description:
    """The meaning of one policy in its world."""

    policy: Object
    selected: tuple[Endpoint, ...]
    directions: frozenset[Direction]
    """Those that it governs; rules of another have no effect."""
    rules: tuple[RuleDescription, ...]
    faults: tuple[tuple[str, str], ...] = ()
    """What else is odd about it: (path, sentence)."""


class Evaluator(Protocol):
    """The meaning of one world's policies to one network plugin."""

    def judge(self, flow: Flow, *, staged: bool = False) -> Verdict:
        """Judge a flow; with `staged`, as if staged policies were enforced."""
        ...

    def selected(self, policy: Object) -> Sequence[Endpoint]:
        """The endpoints to which the policy applies; ValueError when it is of no kind that it reads."""
        ...

    def describe(self) -> Sequence[Description]:
        """Every policy that it reads, with what its parts mean in this world."""
        ...


@runtime_checkable
class Judge(Protocol):
    """A network plugin that enforces policies, and can say what they mean.

    A plugin without this method enforces none: its pods reach each other whatever policies say.
    """

    def policy_evaluator(self, world: World) -> Evaluator | None:
        """The evaluator of that world; None where the plugin enforces nothing."""
        ...
