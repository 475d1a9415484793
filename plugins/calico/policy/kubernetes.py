"""Kubernetes' NetworkPolicies as policies of Calico: in the tier `default`, with the order 1000.

Each peer with each entry of `ports` becomes a rule that allows; all of them keep the index of the rule that
they came from. A selector of pods means endpoints of Kubernetes, so that no set of networks is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import orjson

from calico.policy import labels
from calico.policy.rules import ALLOW, Entity, PortMatch, Rule
from calico.selector import And, Comparison, Has, Membership, Node, Not
from fabric.api.objects import Object
from fabric.plugin.policies import Direction, protocol_number
from fabric.plugin.policy_reading import Value

GROUP = "networking.k8s.io"
ORDER = 1000.0
COPY_PREFIX = "knp.default."
"""The names of the policies of Calico that kube-controllers keeps as copies of Kubernetes' begin so."""
PORT_MAX = 65535
_FIELDS = ("podSelector", "policyTypes", "ingress", "egress")
_PEERS = {"ingress": "from", "egress": "to"}
_OF_KUBERNETES = Comparison(labels.ORCHESTRATOR, "==", "k8s")


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of a NetworkPolicy."""

    namespace: str
    selector: Node
    types: frozenset[Direction]
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


def read(policy: Value, *, staged: bool = False) -> Found:
    """Read a NetworkPolicy, or a StagedKubernetesNetworkPolicy."""
    namespace = policy["metadata"]["namespace"].text("default")
    spec = policy["spec"].only(*_FIELDS, *(("stagedAction",) if staged else ()))
    named = [it.choice("Ingress", "Egress") for it in spec["policyTypes"]]
    if not named:
        named = ["Ingress", *(("Egress",) if list(spec["egress"]) else ())]
    directions: tuple[Direction, ...] = ("ingress", "egress")
    here = Comparison(labels.NAMESPACE, "==", namespace)
    return Found(
        namespace,
        And((here, _OF_KUBERNETES, *_requirements(spec["podSelector"], ""))),
        frozenset(it for it in directions if it.capitalize() in named),
        tuple(_rules(spec["ingress"], "ingress", namespace)),
        tuple(_rules(spec["egress"], "egress", namespace)),
    )


def without_copies(policies: Iterable[Object], originals: Iterable[Object]) -> Iterator[Object]:
    """The policies of Calico but those that kube-controllers copied from one of these NetworkPolicies."""
    copied = {(it["metadata"].get("namespace"), COPY_PREFIX + it["metadata"]["name"]) for it in originals}
    for policy in policies:
        place = policy["metadata"].get("namespace"), policy["metadata"]["name"]
        if policy["kind"] != "NetworkPolicy" or place not in copied:
            yield policy


def _rules(value: Value, direction: Direction, namespace: str) -> Iterator[Rule]:
    for index, rule in enumerate(value):
        side = _PEERS[direction]
        rule.only(side, "ports")
        text = orjson.dumps(rule.value or {}).decode()
        peers = [_peer(it, namespace) for it in rule[side]] or [Entity()]
        ports = [_port(it) for it in rule["ports"]] or [(None, ())]
        for peer in peers:
            for protocol, numbers in ports:
                if direction == "ingress":
                    source, destination = peer, Entity(ports=numbers)
                else:
                    source = Entity()
                    destination = replace(peer, ports=numbers)
                yield Rule(index, ALLOW, text, protocol=protocol, source=source, destination=destination)


def _peer(peer: Value, namespace: str) -> Entity:
    peer.only("ipBlock", "podSelector", "namespaceSelector")
    block, pods, spaces = peer["ipBlock"], peer["podSelector"], peer["namespaceSelector"]
    if block.is_given:
        block.only("cidr", "except")
        if pods.is_given or spaces.is_given:
            block.refuse("may not be specified beside podSelector and namespaceSelector")
        return Entity((block["cidr"].network(),), block["except"].networks(), path=peer.path)
    if not pods.is_given and not spaces.is_given:
        peer.refuse("must specify a peer: ipBlock, podSelector or namespaceSelector")
    place: list[Node] = [Comparison(labels.NAMESPACE, "==", namespace)]
    if spaces.is_given:
        place = list(_requirements(spaces, labels.OF_NAMESPACE)) or [Has(labels.NAMESPACE)]
    return Entity(selector=And((*place, _OF_KUBERNETES, *_requirements(pods, ""))), path=peer.path)


def _port(entry: Value) -> tuple[int | None, tuple[PortMatch, ...]]:
    entry.only("protocol", "port", "endPort")
    protocol = protocol_number(entry["protocol"].choice("TCP", "UDP", "SCTP", default="TCP"))
    port, last = entry["port"], entry["endPort"]
    if not port.is_given or isinstance(port.value, str):
        if last.is_given:
            last.refuse("needs a port that is a number")
        return protocol, (PortMatch(name=port.text(), path=entry.path),) if port.is_given else ()
    first = port.whole(1) or 0
    return protocol, (PortMatch(first, last.whole(first) or first, path=entry.path),)


def _requirements(selector: Value, prefix: str) -> Iterator[Node]:
    """A selector of Kubernetes as selectors of Calico, all of which must hold."""
    selector.only("matchLabels", "matchExpressions")
    for key, value in selector["matchLabels"].labels().items():
        yield Comparison(prefix + key, "==", value)
    for expression in selector["matchExpressions"]:
        expression.only("key", "operator", "values")
        label = prefix + expression["key"].text()
        values = tuple(sorted(set(expression["values"].texts())))
        match expression["operator"].choice("In", "NotIn", "Exists", "DoesNotExist"):
            case "In":
                yield Membership(label, values)
            case "NotIn":
                yield Membership(label, values, inside=False)
            case "Exists":
                yield Has(label)
            case "DoesNotExist":
                yield Not(Has(label))
