"""The downward API: fields of a pod, and a container's resources, as text.

A node's addresses and capacity stand in where the pod itself does not say (`status.hostIP`, a limit
that is not set).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from fabric.api.objects import Object, annotations_of, labels_of, uid_of
from fabric.api.quantity import parse_quantity
from fabric.kubelet.podspec import app_containers, init_containers, spec_of
from fabric.kubelet.records import ConfigError

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


@dataclass(frozen=True)
class PodFacts:
    """A pod with what only its node knows."""

    pod: Object
    node_name: str
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)


def field_value(facts: PodFacts, path: str) -> str:
    """The value of a `fieldRef`; ConfigError for a path that has none."""
    pod = facts.pod
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        values = labels_of(pod) if subscript[1] == "labels" else annotations_of(pod)
        return values.get(subscript[2], "")
    known = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"].get("namespace", ""),
        "metadata.uid": uid_of(pod),
        "metadata.labels": _lines(labels_of(pod)),
        "metadata.annotations": _lines(annotations_of(pod)),
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": spec_of(pod).get("serviceAccountName") or "default",
        "status.hostIP": facts.host_ips[0] if facts.host_ips else "",
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": facts.pod_ips[0] if facts.pod_ips else "",
        "status.podIPs": ",".join(facts.pod_ips),
    }
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}; allowed: {', '.join(sorted(known))}")
    return str(known[path])


def resource_value(facts: PodFacts, ref: Object, container_name: str) -> str:
    """The value of a `resourceFieldRef`, in units of its divisor, rounded up."""
    name = ref.get("containerName") or container_name
    containers = (*app_containers(facts.pod), *init_containers(facts.pod))
    container = next((each for each in containers if each["name"] == name), None)
    if container is None:
        raise ConfigError(f"resourceFieldRef names container {name!r}, which the pod does not have")
    kind, _, resource = str(ref.get("resource", "")).partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise ConfigError(
            f"unsupported container resource: {ref.get('resource')}; allowed: limits.*, requests.*"
        )
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(resource)
    if amount is None:
        amount = facts.allocatable.get(resource, "0") if kind == "limits" else "0"
    try:
        divisor = parse_quantity(str(ref.get("divisor") or "1")) or Decimal(1)
        return str(math.ceil(parse_quantity(str(amount)) / divisor))
    except ValueError as error:
        raise ConfigError(f"resourceFieldRef of {ref['resource']}: {error}") from error


def _lines(values: Mapping[str, str]) -> str:
    """`key="value"` a line, sorted, with Go's quoting of what matters."""
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
