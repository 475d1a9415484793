"""The evaluator of networking.k8s.io/v1 NetworkPolicies, by the specification and nothing else.

Policies are additive lists of what is allowed. A pod is isolated for a direction when a policy of its
namespace selects it and lists that direction; then a flow passes it when a rule of such a policy matches. A
flow arrives when egress of its source and ingress of its destination allow it. Where the specification
leaves a choice, this takes the one that nearly all implementations take: a pod of the host's network is its
node, and a rule without ports means every protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from fabric.api.objects import Object
from fabric.api.selectors import LabelSelector
from fabric.errors import BadRequest
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import (
    WITH_PORTS,
    Decision,
    Direction,
    Endpoint,
    Flow,
    Verdict,
    World,
    protocol_number,
)
from fabric.plugin.policy_reading import Value, reference

GROUP, KIND = "networking.k8s.io", "NetworkPolicy"
_SIDES: dict[Direction, str] = {"egress": "to", "ingress": "from"}


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


class KubernetesEvaluator:
    """What the NetworkPolicies of a world mean to a plugin that enforces them and nothing else."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._policies = [read(it) for it in world.of_kind(KIND, GROUP)]

    def judge(self, flow: Flow, *, staged: bool = False) -> Verdict:
        """Kubernetes has no staged policies: `staged` changes nothing."""
        source, destination = flow.source, flow.destination
        if not flow.family:
            why = f"{source} and {destination} have no IP version in common"
            return Verdict((Decision("egress", str(source), False, why),))
        if source == destination or (source.host and source.host == destination.host):
            return Verdict((Decision("egress", str(source), True, "it never leaves its own namespace"),))
        egress = self._decision("egress", flow, source, destination)
        if source.host and source.host == destination.node:
            why = "its own node always reaches it"
            return Verdict((egress, Decision("ingress", str(destination), True, why)))
        return Verdict((egress, self._decision("ingress", flow, destination, source)))

    def selected(self, policy: Object) -> Sequence[Endpoint]:
        found = read(policy)
        return [it for it in self._world.endpoints if found.selects(it)]

    def peers(self, policy: Object, direction: Direction, rule: int) -> Sequence[Endpoint]:
        peers = read(policy).rules(direction)[rule].peers
        every = self._world.endpoints
        return [
            it
            for it in every
            if not peers
            or any(peer.matches(it, address, self._world) for peer in peers for address in it.addresses)
        ]

    def _decision(self, direction: Direction, flow: Flow, mine: Endpoint, peer: Endpoint) -> Decision:
        at = str(mine)
        if mine.kind == "address":
            return Decision(direction, at, True, "it is outside of the cluster")
        applying = [it for it in self._policies if direction in it.types and it.selects(mine)]
        if mine.host:
            return Decision(direction, at, True, "policies do not select what is in a node's own network")
        if not applying:
            return Decision(direction, at, True, f"no NetworkPolicy selects it for {direction}")
        names = tuple(it.reference for it in applying)
        address = peer.address(flow.family)
        assert address is not None
        misses = []
        for policy in applying:
            for rule in policy.rules(direction):
                miss = rule.mismatch(flow, peer, address, self._world)
                if not miss:
                    why = f"{policy.reference} allows it: spec.{direction}[{rule.index}]"
                    return Decision(
                        direction, at, True, why, policy.reference, rule.index, rule.text, selected_by=names
                    )
                misses.append(f"{policy.reference} spec.{direction}[{rule.index}]: {miss}")
        why = f"isolated for {direction} by {', '.join(names)}, and no rule of them matches"
        return Decision(direction, at, False, why, selected_by=names, notes=tuple(misses))


def read(policy: Object) -> Policy:
    """Read a NetworkPolicy; BadPolicy names the field that is wrong."""
    whole = Value.of(policy)
    namespace = whole["metadata"]["namespace"].text("default")
    spec = whole["spec"].only("podSelector", "policyTypes", "ingress", "egress")
    sides = {
        direction: tuple(_rule(index, it, direction, namespace) for index, it in enumerate(spec[direction]))
        for direction in _SIDES
    }
    named = [it.choice("Ingress", "Egress") for it in spec["policyTypes"]]
    types: set[Direction] = {direction for direction in _SIDES if direction.capitalize() in named}
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
    side = _SIDES[direction]
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
    cidr = block["cidr"].network()
    for item in block["except"]:
        inner = item.network()
        if inner.version != cidr.version or inner == cidr or inner.network_address not in cidr:
            item.refuse(f"must be strictly inside of {cidr}")
    return Peer(block=cidr, excepted=block["except"].networks())


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
