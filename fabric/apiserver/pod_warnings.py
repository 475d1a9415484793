"""Kubernetes' own warnings of pods: what is stored, and surely not what was meant (GetWarningsForPod)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from fabric.api.names import dns_label_faults
from fabric.api.objects import Object
from fabric.api.quantity import parse_quantity

_LISTS = ("initContainers", "containers")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
_BYTES = ("memory", "ephemeral-storage")


def warnings(pod: Object, old: Object | None = None) -> Iterator[str]:
    """The warnings for a client that creates the pod, or changes its specification."""
    spec = pod.get("spec") or {}
    if old is not None and old.get("spec") == spec:
        return
    if old is None:
        yield from _name(pod["metadata"].get("name") or "")
    yield from _labels(spec)
    yield from _selectors(spec)
    yield from _repeated(spec)
    yield from _ports(spec)
    for path, container in _containers(spec):
        yield from _env(path, container.get("env") or ())
        yield from _amounts(f"{path}.resources", container.get("resources") or {})
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        what = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"spec.terminationGracePeriodSeconds: {what}"


def _containers(spec: Object) -> Iterator[tuple[str, Object]]:
    for field in _LISTS:
        for i, container in enumerate(spec.get(field) or ()):
            yield f"spec.{field}[{i}]", container


def _name(name: str) -> Iterator[str]:
    faults = list(dns_label_faults(name))
    if faults:
        what = "this is used in the Pod's hostname, which can result in surprising behavior"
        yield f"metadata.name: {what}; a DNS label is recommended: [{' '.join(faults)}]"


def _labels(spec: Object) -> Iterator[str]:
    """Labels of nodes that have newer names."""
    for key in spec.get("nodeSelector") or {}:
        if key in _DEPRECATED_LABELS:
            yield f"spec.nodeSelector[{key}]: {_newer(key)}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    at = "spec.affinity.nodeAffinity"
    terms = [
        (f"{at}.{_REQUIRED}.nodeSelectorTerms[{i}]", term)
        for i, term in enumerate((affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ())
    ]
    terms += [
        (f"{at}.{_PREFERRED}[{i}].preference", each.get("preference") or {})
        for i, each in enumerate(affinity.get(_PREFERRED) or ())
    ]
    for path, term in terms:
        for i, expression in enumerate(term.get("matchExpressions") or ()):
            yield from _newer_key(f"{path}.matchExpressions[{i}].key", expression.get("key"))
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        yield from _newer_key(f"spec.topologySpreadConstraints[{i}].topologyKey", constraint["topologyKey"])


def _newer_key(path: str, key: Any) -> Iterator[str]:
    if key in _DEPRECATED_LABELS:
        yield f"{path}: {key} is {_newer(key)}"


def _newer(key: str) -> str:
    since, name = _DEPRECATED_LABELS[key]
    return f'deprecated since {since}; use "{name}" instead'


def _selectors(spec: Object) -> Iterator[str]:
    """Terms and constraints without a selector, which match nothing."""
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (spec.get("affinity") or {}).get(kind) or {}
        at = f"spec.affinity.{kind}"
        for i, term in enumerate(terms.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield f"{at}.{_REQUIRED}[{i}].labelSelector: {_NO_SELECTOR}"
        for i, each in enumerate(terms.get(_PREFERRED) or ()):
            if (each.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{at}.{_PREFERRED}[{i}].podAffinityTerm.labelSelector: {_NO_SELECTOR}"
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            yield f"spec.topologySpreadConstraints[{i}].labelSelector: {_NO_SELECTOR}"


def _repeated(spec: Object) -> Iterator[str]:
    """Addresses of hostAliases and names of imagePullSecrets that are given twice."""
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen = set()
        for i, item in enumerate(spec.get(field) or ()):
            value = item.get(key) or ""
            if value in seen:
                yield f'spec.{field}[{i}].{key}: duplicate {key} "{value}"'
            seen.add(value)


def _env(path: str, variables: Any) -> Iterator[str]:
    """Variables that hide an earlier one of their name without referring to it."""
    seen = set()
    for i, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value") or ""
        reference = f"$({name})"
        extends = reference in value and value != reference and "valueFrom" not in variable
        if name in seen and not extends:
            what = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}.env[{i}]: {what}"
        seen.add(name)


def _amounts(path: str, resources: Object) -> Iterator[str]:
    for part in ("limits", "requests"):
        for name, amount in (resources.get(part) or {}).items():
            with suppress(ValueError):
                if name in _BYTES and parse_quantity(amount) % 1:
                    what = f'fractional byte value "{amount}" is invalid, must be an integer'
                    yield f"{path}.{part}[{name}]: {what}"


def _ports(spec: Object) -> Iterator[str]:
    """Ports that are given twice, by name or by number."""
    names: dict[str, str] = {}
    numbers: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for path, container in _containers(spec):
        for i, port in enumerate(container.get("ports") or ()):
            at, name = f"{path}.ports[{i}]", port.get("name")
            others = numbers.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for where, other in others:
                what = _clash(port, other)
                if what:
                    yield f"{at}: {what} port definition with {where}"
            others.append((at, port))
            first = names.setdefault(name, at) if name else at
            if first != at:
                what = f"services and probes that select ports by name will use {first}"
                yield f'{at}: duplicate port name "{name}" with {first}, {what}'


def _clash(port: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The kind of a clash of two definitions of one container port, or nothing."""
    ports, ips = (
        [it.get("hostPort") or 0 for it in (port, other)],
        [it.get("hostIP") or "" for it in (port, other)],
    )
    if ports[0] == ports[1] and ips[0] == ips[1]:
        return "duplicate"
    if not all(ports):
        return "overlapping"
    return "dangerously ambiguous" if ports[0] == ports[1] and not all(ips) else ""
