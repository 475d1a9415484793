"""Calico's resources as the objects of the calculation.

Here a policy's namespace comes into its selectors, as Calico's own library puts it there: a rule's selector
in a NetworkPolicy is for its namespace alone, unless it says namespaces itself; those and service accounts
are selected by their labels, which endpoints inherit with a prefix.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network

from calico.calc.objects import (
    Endpoint,
    EndpointId,
    Icmp,
    NamedPort,
    Policy,
    PolicyId,
    PortRange,
    Ports,
    Profile,
    Rule,
    Side,
    Tier,
)
from calico.resources import endpoints, host_endpoints, policies, sets, tiers
from calico.resources.endpoints import EndpointPort
from calico.resources.envelope import Resource
from calico.resources.numbers_or_names import PROTOCOLS, Port
from calico.resources.rules import EntityRule, ICMPFields, PolicyRule, ServiceAccountMatch
from calico.resources.sets import NAMESPACE_LABEL
from calico.selector import ALL, Always, And, Comparison, Has, Membership, Node, Not, Or, Selector
from fabric.netstate.objects import IPNetwork

NAMESPACE_PREFIX, ACCOUNT_PREFIX = "pcns.", "pcsa."
"""Before the labels that endpoints inherit of their namespace and of their service account."""
ACCOUNT_LABEL = "projectcalico.org/serviceaccount"
KUBERNETES_PREFIX = "knp.default."
"""In the name of a NetworkPolicy that is a Kubernetes one."""
_NAMES = {number: name.lower() for name, number in PROTOCOLS.items()}

Thing = Endpoint | Policy | Profile | Tier
ThingId = EndpointId | PolicyId | str


def thing(resource: Resource) -> Thing | None:
    """The object that a resource is; None for a kind that policies have nothing to do with."""
    name, namespace = resource.name, resource.metadata.namespace
    match resource:
        case policies.GlobalNetworkPolicy(spec=spec):
            return replace(
                _policy(resource, spec, PolicyId(resource.KIND, "", name)),
                untracked=spec.do_not_track,
                pre_dnat=spec.pre_dnat,
                apply_on_forward=spec.apply_on_forward,
            )
        case policies.NetworkPolicy(spec=spec):
            return _policy(resource, spec, policy_id(namespace, name))
        case endpoints.Profile(spec=spec):
            ingress, egress = (tuple(_rules(given, "")) for given in (spec.ingress, spec.egress))
            return Profile(name, ingress, egress, spec.labels_to_apply)
        case tiers.Tier(spec=spec):
            return Tier(name, float(spec.order), spec.default_action)  # type: ignore[arg-type]
        case endpoints.WorkloadEndpoint(spec=spec):
            return _endpoint(resource, spec, spec.ip_networks)
        case host_endpoints.HostEndpoint(spec=spec):
            return _endpoint(resource, spec, map(ip_network, spec.expected_ips))
        case sets.NetworkSet(spec=spec):
            labels = {**resource.labels, NAMESPACE_LABEL: namespace}
            set_id = EndpointId(resource.KIND, namespace, name)
            return Endpoint(set_id, labels, (f"kns.{namespace}",), spec.nets)
        case sets.GlobalNetworkSet(spec=spec):
            return Endpoint(EndpointId(resource.KIND, "", name), resource.labels, (), spec.nets)
    return None


def _endpoint(
    resource: Resource,
    spec: endpoints.WorkloadEndpointSpec | host_endpoints.HostEndpointSpec,
    networks: Iterable[IPNetwork],
) -> Endpoint:
    return Endpoint(
        EndpointId(resource.KIND, resource.metadata.namespace, resource.name),
        resource.labels,
        spec.profiles,
        tuple(networks),
        tuple(_named_ports(spec.ports)),
        spec.node,
        spec.interface_name,
    )


def policy_id(namespace: str, name: str) -> PolicyId:
    """The identity of a NetworkPolicy: its own, or that of the Kubernetes one that it was made of."""
    if name.startswith(KUBERNETES_PREFIX):
        return PolicyId("KubernetesNetworkPolicy", namespace, name.removeprefix(KUBERNETES_PREFIX))
    return PolicyId("NetworkPolicy", namespace, name)


def _policy(resource: Resource, spec: policies.NetworkPolicySpec, policy: PolicyId) -> Policy:
    namespace = resource.metadata.namespace
    ingress, egress = (tuple(_rules(given, namespace)) for given in (spec.ingress, spec.egress))
    types = frozenset(it.lower() for it in spec.effective_types)
    return Policy(
        policy,
        spec.tier,
        _of_endpoints(spec, namespace),
        math.inf if spec.order is None else float(spec.order),
        types,  # type: ignore[arg-type]
        ingress,
        egress,
    )


def _of_endpoints(spec: policies.NetworkPolicySpec, namespace: str) -> Selector:
    """The selector of the endpoints that a policy is for."""
    found = [_of_namespace(namespace)] if namespace else []
    if isinstance(spec, policies.GlobalNetworkPolicySpec) and spec.namespace_selector:
        found.append(_namespaces(spec.namespace_selector))
    if spec.selector:
        found.append(Selector.parse(spec.selector).root)
    if spec.service_account_selector:
        found.append(_prefixed(spec.service_account_selector, ACCOUNT_PREFIX))
    return _all_of(found)


def _rules(given: Iterable[PolicyRule], namespace: str) -> Iterator[Rule]:
    for rule in given:
        if rule.source.services or rule.destination.services:
            continue  # There are no services yet, so that none has an endpoint.
        annotations = rule.metadata.annotations if rule.metadata else {}
        yield Rule(
            action=rule.action,  # type: ignore[arg-type]
            protocol=_protocol(rule.protocol_number),
            not_protocol=_protocol(rule.not_protocol_number),
            ip_version=rule.ip_version,
            icmp=_icmp(rule.icmp),
            not_icmp=_icmp(rule.not_icmp),
            source=_side(rule.source, namespace),
            destination=_side(rule.destination, namespace),
            annotations=tuple(sorted(annotations.items())),
        )


def _side(entity: EntityRule, namespace: str) -> Side:
    return Side(
        selector=_selector(entity, namespace),
        not_selector=Selector.parse(entity.not_selector) if entity.not_selector else None,
        nets=entity.nets,
        not_nets=entity.not_nets,
        ports=_ports(entity.ports),
        not_ports=_ports(entity.not_ports),
    )


def _selector(entity: EntityRule, namespace: str) -> Selector | None:
    """The selector of a side with its namespaces and service accounts; None where it selects nothing."""
    asked = [*_accounts(entity.service_accounts)]
    if entity.selector:
        asked.append(Selector.parse(entity.selector).root)
    if not asked and not entity.namespace_selector and not entity.not_selector:
        return None
    if entity.namespace_selector:
        asked.insert(0, _namespaces(entity.namespace_selector))
    elif namespace:
        asked.insert(0, _of_namespace(namespace))
    return _all_of(asked) if asked else None


def _accounts(match: ServiceAccountMatch | None) -> Iterator[Node]:
    if match is not None and match.names:
        yield Membership(ACCOUNT_LABEL, tuple(sorted(set(match.names))))
    if match is not None and match.selector:
        yield _prefixed(match.selector, ACCOUNT_PREFIX)


def _of_namespace(namespace: str) -> Node:
    return Comparison(NAMESPACE_LABEL, "==", namespace)


def _namespaces(text: str) -> Node:
    """A selector of namespaces as one of endpoints: `all()` is being in one, `global()` is being in none."""
    return _renamed(Selector.parse(text).root, NAMESPACE_PREFIX, Has(NAMESPACE_LABEL))


def _prefixed(text: str, prefix: str) -> Node:
    return _renamed(Selector.parse(text).root, prefix)


def _renamed(node: Node, prefix: str, every: Node = ALL.root) -> Node:
    """A selector of labels with a prefix before their names; `every` stands for its `all()`."""
    match node:
        case Comparison() | Membership() | Has():
            return replace(node, label=prefix + node.label)
        case Not(operand):
            return Not(_renamed(operand, prefix, every))
        case And(operands) | Or(operands):
            return type(node)(tuple(_renamed(it, prefix, every) for it in operands))
        case Always("global"):
            return Not(Has(NAMESPACE_LABEL))
    return every


def _all_of(nodes: Sequence[Node]) -> Selector:
    if not nodes:
        return ALL
    return Selector(nodes[0] if len(nodes) == 1 else And(tuple(nodes)))


def _protocol(number: int | None) -> str:
    return "" if number is None else _NAMES.get(number, str(number))


def _icmp(fields: ICMPFields | None) -> Icmp | None:
    return None if fields is None or fields.type is None else Icmp(fields.type, fields.code)


def _ports(given: Iterable[Port]) -> Ports:
    found = tuple(given)
    ranges = (PortRange(port.first, port.last) for port in found if not port.name)
    return Ports(tuple(ranges), tuple(port.name for port in found if port.name))


def _named_ports(given: Iterable[EndpointPort]) -> Iterator[NamedPort]:
    for port in given:
        if port.name:
            yield NamedPort(port.name, port.protocol.lower(), port.port)
