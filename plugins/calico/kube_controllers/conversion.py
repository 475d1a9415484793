"""Kubernetes' objects as Calico's resources, as Calico's library converts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from calico.calc.reading import ACCOUNT_PREFIX, KUBERNETES_PREFIX, NAMESPACE_PREFIX
from calico.resources.endpoints import Profile
from calico.resources.numbers_or_names import Port
from calico.resources.policies import NetworkPolicy
from calico.resources.rules import EntityRule, PolicyRule
from fabric.api.names import loose_network
from fabric.api.objects import Object, labels_of

ORDER = 1000
"""Of Kubernetes' policies in the tier `default`."""
_NAME_LABEL = "projectcalico.org/name"
_PODS = "projectcalico.org/orchestrator == 'k8s'"
_ALLOW = (PolicyRule(action="Allow"),)


def policy_name(name: str) -> str:
    return KUBERNETES_PREFIX + name


def namespace_profile_name(namespace: str) -> str:
    return f"kns.{namespace}"


def account_profile_name(namespace: str, name: str) -> str:
    return f"ksa.{namespace}.{name}"


def network_policy(obj: Object) -> NetworkPolicy:
    """A NetworkPolicy of networking.k8s.io/v1 as one of Calico's."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    ingress = [rule for given in spec.get("ingress") or () for rule in _rules(given, "from")]
    egress = [rule for given in spec.get("egress") or () for rule in _rules(given, "to")]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if egress else [])]
    return NetworkPolicy.named(
        policy_name(metadata["name"]),
        metadata["namespace"],
        order=ORDER,
        selector=_of_pods(spec.get("podSelector") or {}),
        types=tuple(types),
        ingress=tuple(ingress),
        egress=tuple(egress),
    )


def namespace_profile(obj: Object) -> Profile:
    """The profile that a namespace's pods have: it accepts all that no policy judged."""
    name = obj["metadata"]["name"]
    labels = _prefixed(NAMESPACE_PREFIX, {**labels_of(obj), _NAME_LABEL: name})
    return Profile.named(namespace_profile_name(name), ingress=_ALLOW, egress=_ALLOW, labels_to_apply=labels)


def account_profile(obj: Object) -> Profile:
    """The profile that a service account's pods have: labels, and no rule."""
    metadata = obj["metadata"]
    name = account_profile_name(metadata["namespace"], metadata["name"])
    labels = _prefixed(ACCOUNT_PREFIX, {**labels_of(obj), _NAME_LABEL: metadata["name"]})
    return Profile.named(name, labels_to_apply=labels)


def _prefixed(prefix: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {prefix + name: value for name, value in labels.items()}


def _rules(given: Object, peers: str) -> Iterator[PolicyRule]:
    """A rule of Calico's for each peer and protocol, with all ports of the protocol."""
    for entity in _entities(given.get(peers) or ()):
        source, destination = (entity, EntityRule()) if peers == "from" else (EntityRule(), entity)
        for protocol, ports in _ports(given.get("ports") or ()).items():
            yield PolicyRule(
                action="Allow",
                protocol=protocol or None,
                source=source,
                destination=replace(destination, ports=ports),
            )


def _entities(peers: Iterable[Object]) -> Iterator[EntityRule]:
    """The peers; where there are none, everybody."""
    found = False
    for peer in peers:
        found = True
        if (block := peer.get("ipBlock")) is not None:
            excepted = tuple(map(loose_network, block.get("except") or ()))
            yield EntityRule(nets=(loose_network(block["cidr"]),), not_nets=excepted)
            continue
        pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
        yield EntityRule(
            selector=_of_pods(pods or {}),
            namespace_selector="" if namespaces is None else _text(namespaces) or "all()",
        )
    if not found:
        yield EntityRule()


def _ports(given: Iterable[Object]) -> Mapping[str, tuple[Port, ...]]:
    """Ports by their protocol; none is every port of it, and the protocol "" is all of them."""
    found: dict[str, list[Port] | None] = {}
    for it in given:
        ports = found.setdefault(it.get("protocol") or "TCP", [])
        port = it.get("port")
        if port is None:
            found[it.get("protocol") or "TCP"] = None
        elif ports is not None:
            ports.append(_port(port, it.get("endPort")))
    if not found:
        return {"": ()}
    return {protocol: _folded(ports or ()) for protocol, ports in found.items()}


def _port(port: int | str, end: int | None) -> Port:
    return Port(name=port) if isinstance(port, str) else Port(port, port if end is None else end)


def _folded(ports: Iterable[Port]) -> tuple[Port, ...]:
    """Ports in ranges: those that touch are one, in order; names come after the numbers."""
    given = tuple(ports)
    folded: list[Port] = []
    for port in sorted((it for it in given if not it.name), key=lambda it: (it.first, it.last)):
        if folded and port.first <= folded[-1].last + 1:
            folded[-1] = Port(folded[-1].first, max(folded[-1].last, port.last))
        else:
            folded.append(port)
    return (*folded, *dict.fromkeys(it for it in given if it.name))


def _of_pods(selector: Object) -> str:
    """A selector of pods: only what Kubernetes runs."""
    text = _text(selector)
    return f"{_PODS} && {text}" if text else _PODS


def _text(selector: Object) -> str:
    """Kubernetes' LabelSelector in Calico's words, labels in order; empty for one that selects all."""
    equal = sorted((selector.get("matchLabels") or {}).items())
    parts = [f"{label} == '{value}'" for label, value in equal]
    parts += map(_expression, selector.get("matchExpressions") or ())
    return " && ".join(parts)


def _expression(it: Mapping[str, Any]) -> str:
    label, values = it["key"], ", ".join(f"'{value}'" for value in sorted(it.get("values") or ()))
    return {
        "In": f"{label} in {{{values}}}",
        "NotIn": f"{label} not in {{{values}}}",
        "Exists": f"has({label})",
        "DoesNotExist": f"!has({label})",
    }[it["operator"]]
