"""The objects that policies are computed from: endpoints, network sets, profiles, tiers, policies and rules.

They are Calico's resources as Felix sees them: selectors have their namespace and service account in them,
order and types their defaults, and ports are numbers or names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from calico.selector import Labels, Selector
from fabric.netstate.objects import IPNetwork

Action = Literal["Allow", "Deny", "Log", "Pass"]
Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")


@dataclass(frozen=True, slots=True)
class PortRange:
    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports by number and by name."""

    ranges: tuple[PortRange, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ranges or self.names)


@dataclass(frozen=True, slots=True)
class Side:
    """The source or the destination of a rule; what is empty matches everything."""

    selector: Selector | None = None
    not_selector: Selector | None = None
    nets: tuple[IPNetwork, ...] = ()
    not_nets: tuple[IPNetwork, ...] = ()
    ports: Ports = Ports()
    not_ports: Ports = Ports()


@dataclass(frozen=True, slots=True)
class Icmp:
    type: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a policy or a profile."""

    action: Action
    protocol: str = ""
    """In lower case, or a number; empty for every protocol."""
    not_protocol: str = ""
    ip_version: int | None = None
    icmp: Icmp | None = None
    not_icmp: Icmp | None = None
    source: Side = Side()
    destination: Side = Side()
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def sides(self) -> tuple[Side, Side]:
        return (self.source, self.destination)


@dataclass(frozen=True, slots=True, order=True)
class PolicyId:
    """The identity of a policy."""

    kind: str
    """NetworkPolicy, GlobalNetworkPolicy, or KubernetesNetworkPolicy."""
    namespace: str
    name: str

    def __str__(self) -> str:
        """`KubernetesNetworkPolicy default/allow-dns`: what a rule's origin says."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that is enforced; staged ones are none."""

    id: PolicyId
    tier: str
    selector: Selector
    """Of the endpoints that it is for."""
    order: float = math.inf
    types: frozenset[Direction] = frozenset()
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    untracked: bool = False
    pre_dnat: bool = False
    apply_on_forward: bool = False

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        return self.ingress if direction == "ingress" else self.egress

    @property
    def sort_key(self) -> tuple[float, str, str, str]:
        """Lower is earlier; Calico's order, then the name, then the kind."""
        return (self.order, self.id.name, self.id.kind, self.id.namespace)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile: rules for traffic that no tier has judged, and labels that endpoints inherit."""

    name: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    labels: Mapping[str, str] | None = None

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        return self.ingress if direction == "ingress" else self.egress


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier: an ordered group of policies, and what becomes of packets that none of them judged."""

    name: str
    order: float = math.inf
    default_action: Action = "Deny"

    @property
    def sort_key(self) -> tuple[float, str]:
        return (self.order, self.name)


@dataclass(frozen=True, slots=True)
class NamedPort:
    name: str
    protocol: str
    """In lower case."""
    port: int


@dataclass(frozen=True, slots=True)
class EndpointId:
    """The identity of an endpoint or a network set in the datastore."""

    kind: str
    """WorkloadEndpoint, HostEndpoint, NetworkSet or GlobalNetworkSet."""
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An object with labels and addresses: a pod's endpoint, a host's, or a network set."""

    id: EndpointId
    labels: Labels
    profiles: tuple[str, ...] = ()
    """Labels are inherited from them; an endpoint has their rules too."""
    nets: tuple[IPNetwork, ...] = ()
    ports: tuple[NamedPort, ...] = ()
    node: str = ""
    """Empty for a network set."""
    interface: str = ""
    """The device on the node; of a host endpoint also `*`, or empty where its addresses say which it is."""
