"""A NetworkPolicy of networking.k8s.io/v1, read: whom it selects, and what its rules match."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from fabric.api.objects import Object
from fabric.api.selectors import LabelSelector
from fabric.errors import BadRequest
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import (
    WITH_PORTS,
    Direction,
    Endpoint,
    Flow,
    World,
    protocol_number,
)
from fabric.plugin.policy_reading import Value, reference

GROUP, KIND = "networking.k8s.io", "NetworkPolicy"
SIDES: dict[Direction, str] = {"egress": "to", "ingress": "from"}


@dataclass(frozen=True, slots=True)
class PortRange:
    """An entry of `ports`: all ports of a protocol, some of them, or the ones of a name."""

    protocol: int
    first: int = 0
    last: int = 65535
    name: str = ""

    def matches(self, flow: Flow) -> bool:
        if self.protocol != flow.protocol:
            return False
        if self.name:
            return flow.port in flow.destination.numbers(self.name, self.protocol)
        return self.first <= flow.port <= self.last


@dataclass(frozen=True, slots=True)
class Peer:
    """An element of `from` or `to`: a block of addresses, or pods of some namespaces."""

    block: IPNetwork | None = None
    excepted: tuple[IPNetwork, ...] = ()
    namespace: str = ""
    """The policy's own, where there is no namespace selector."""
    namespaces: LabelSelector | None = None
    pods: LabelSelector | None = None

    def matches(self, endpoint: Endpoint, address: IPAddress, world: World) -> bool:
        if self.block is not None:
            return address in self.block and not any(address in it for it in self.excepted)
        if endpoint.kind != "pod" or endpoint.is_host_network:
            return False
        if self.namespaces is None:
            is_inside = endpoint.namespace == self.namespace
        else:
            is_inside = self.namespaces.matches(world.labels_of(endpoint.namespace))
        return is_inside and (self.pods is None or self.pods.matches(endpoint.labels))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one direction; no peers is everybody, no ports is everything."""

    index: int
    peers: tuple[Peer, ...]
    ports: tuple[PortRange, ...]
    text: str

    def mismatch(self, flow: Flow, peer: Endpoint, address: IPAddress, world: World) -> str:
        """Why a flow from or to that peer does not match; empty when it does."""
        if self.peers and not any(it.matches(peer, address, world) for it in self.peers):
            return f"{peer} ({address}) is none of its peers"
        if self.ports and not any(it.matches(flow) for it in self.ports):
            what = f"port {flow.port}" if flow.protocol in WITH_PORTS else "the protocol"
            return f"{what} is none of its ports"
        return ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy, read."""

    reference: str
    namespace: str
    pods: LabelSelector
    types: frozenset[Direction]
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]

    def selects(self, endpoint: Endpoint) -> bool:
        is_pod = endpoint.kind == "pod" and not endpoint.is_host_network
        return is_pod and endpoint.namespace == self.namespace and self.pods.matches(endpoint.labels)

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        return self.ingress if direction == "ingress" else self.egress


def read(policy: Object) -> Policy:
    """Read a NetworkPolicy; BadPolicy names the field that is wrong."""
    whole = Value.of(policy)
    namespace = whole["metadata"]["namespace"].text("default")
    spec = whole["spec"].only("podSelector", "policyTypes", "ingress", "egress")
    sides = {
        direction: tuple(_rule(index, it, direction, namespace) for index, it in enumerate(spec[direction]))
        for direction in SIDES
    }
    named = [it.choice("Ingress", "Egress") for it in spec["policyTypes"]]
    types: set[Direction] = {direction for direction in SIDES if direction.capitalize() in named}
    if not named:
        types = {"ingress", "egress"} if sides["egress"] else {"ingress"}
    return Policy(
        reference(policy),
        namespace,
        _selector(spec["podSelector"]) or LabelSelector(),
        frozenset(types),
        sides["ingress"],
        sides["egress"],
    )


def _rule(index: int, rule: Value, direction: Direction, namespace: str) -> Rule:
    side = SIDES[direction]
    rule.only(side, "ports")
    peers = tuple(_peer(it, namespace) for it in rule[side])
    ports = tuple(_port(it) for it in rule["ports"])
    return Rule(index, peers, ports, orjson.dumps(rule.value or {}).decode())


def _peer(peer: Value, namespace: str) -> Peer:
    peer.only("ipBlock", "podSelector", "namespaceSelector")
    block = peer["ipBlock"]
    selectors = [_selector(peer[name]) for name in ("namespaceSelector", "podSelector")]
    if not block.is_given:
        if selectors == [None, None]:
            peer.refuse("must specify a peer: ipBlock, podSelector or namespaceSelector")
        return Peer(namespace=namespace, namespaces=selectors[0], pods=selectors[1])
    if selectors != [None, None]:
        block.refuse("may not be specified beside podSelector and namespaceSelector")
    block.only("cidr", "except")
    return Peer(block=block["cidr"].network(), excepted=block["except"].networks())


def _port(entry: Value) -> PortRange:
    entry.only("protocol", "port", "endPort")
    protocol = protocol_number(entry["protocol"].choice("TCP", "UDP", "SCTP", default="TCP"))
    port, last = entry["port"], entry["endPort"]
    if not port.is_given or isinstance(port.value, str):
        if last.is_given:
            last.refuse("needs a port that is a number")
        return PortRange(protocol, name=port.text())
    first = port.whole(1) or 0
    return PortRange(protocol, first, last.whole(first) or first)


def _selector(selector: Value) -> LabelSelector | None:
    """The selector, or None where there is none: an empty one means everything."""
    if not selector.is_given:
        return None
    selector.only("matchLabels", "matchExpressions")["matchLabels"].labels()
    for expression in selector["matchExpressions"]:
        expression.only("key", "operator", "values")["values"].texts()
        expression["operator"].choice("In", "NotIn", "Exists", "DoesNotExist")
    try:
        return LabelSelector.from_object(selector.value)
    except BadRequest as error:
        selector.refuse(str(error))
