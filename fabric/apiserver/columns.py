"""The columns of the built-in kinds, as upstream's printers name and fill them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fabric.api.objects import Object, condition, labels_of
from fabric.apiserver import pod_printer
from fabric.apiserver.durations import age

NONE = "<none>"
UNKNOWN = "<unknown>"

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and the cell below it."""

    name: str
    of: Callable[[Object, datetime], Any]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""

    def definition(self) -> Object:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description or f"{self.name} of the object.",
            "priority": self.priority,
        }


def _wide(name: str, of: Callable[[Object, datetime], Any], type_: str = "string") -> Column:
    return Column(name, of, type_, priority=1)


def _at(*path: str, default: Any = "") -> Callable[[Object, datetime], Any]:
    """A cell that shows the value at a path of the object."""

    def of(obj: Object, now: datetime) -> Any:
        value: Any = obj
        for step in path:
            value = (value or {}).get(step)
        return default if value is None or value == "" else value

    return of


def _count_of(*fields: str) -> Callable[[Object, datetime], Any]:
    return lambda obj, now: sum(len(obj.get(field) or ()) for field in fields)


def _node_status(node: Object, now: datetime) -> str:
    ready = condition(node, "Ready")
    words = [{"True": "Ready"}.get(ready.get("status", ""), "NotReady") if ready else "Unknown"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Object, now: datetime) -> str:
    labels = labels_of(node)
    roles = {label.removeprefix(_ROLE_PREFIX) for label in labels if label.startswith(_ROLE_PREFIX)}
    roles |= {labels.get(_ROLE_LABEL, "")}
    return ",".join(sorted(filter(None, roles))) or NONE


def _node_address(type_: str) -> Callable[[Object, datetime], str]:
    def of(node: Object, now: datetime) -> str:
        addresses = (node.get("status") or {}).get("addresses") or ()
        return next((a["address"] for a in addresses if a.get("type") == type_), NONE)

    return of


def _node_info(field: str) -> Callable[[Object, datetime], Any]:
    return _at("status", "nodeInfo", field, default=UNKNOWN)


def _event_times(event: Object, now: datetime) -> tuple[str, str]:
    """The ages of an event's first and last occurrence."""
    first = age(event.get("firstTimestamp") or event.get("eventTime"), now)
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp")
    return first, age(last, now) if last else first


def _event_count(event: Object, now: datetime) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _event_object(event: Object, now: datetime) -> str:
    involved = event.get("involvedObject") or {}
    kind, name = str(involved.get("kind") or "").lower(), involved.get("name") or ""
    return f"{kind}/{name}" if name else kind


def _event_source(event: Object, now: datetime) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


def _pod_selector(policy: Object, now: datetime) -> str:
    """The selector as FormatLabelSelector has it: by key, and `<none>` for the one that selects all."""
    selector = (policy.get("spec") or {}).get("podSelector") or {}
    pairs = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    pairs += [(it["key"], _expression(it)) for it in selector.get("matchExpressions") or ()]
    return ",".join(text for _, text in sorted(pairs, key=lambda pair: pair[0])) or NONE


def _expression(expression: Object) -> str:
    key, operator = str(expression["key"]), str(expression["operator"])
    if operator in ("Exists", "DoesNotExist"):
        return "!" * (operator == "DoesNotExist") + key
    return f"{key} {operator.lower()} ({','.join(sorted(expression.get('values') or ()))})"


NAME = Column("Name", _at("metadata", "name"), format="name", description="Unique within the namespace.")
AGE = Column(
    "Age",
    lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now),
    description="Time since the object was created.",
)
NAME_AND_AGE = (NAME, AGE)

_NODE = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _node_roles),
    AGE,
    Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
    _wide("Internal-IP", _node_address("InternalIP")),
    _wide("External-IP", _node_address("ExternalIP")),
    _wide("OS-Image", _node_info("osImage")),
    _wide("Kernel-Version", _node_info("kernelVersion")),
    _wide("Container-Runtime", _node_info("containerRuntimeVersion")),
)

_POD = (
    NAME,
    Column("Ready", pod_printer.ready),
    Column("Status", pod_printer.status),
    Column("Restarts", pod_printer.restarts),
    AGE,
    _wide("IP", pod_printer.ip),
    _wide("Node", _at("spec", "nodeName", default=NONE)),
    _wide("Nominated Node", _at("status", "nominatedNodeName", default=NONE)),
    _wide("Readiness Gates", pod_printer.readiness_gates),
)

_EVENT = (
    Column("Last Seen", lambda event, now: _event_times(event, now)[1]),
    Column("Type", _at("type")),
    Column("Reason", _at("reason")),
    Column("Object", _event_object),
    _wide("Subobject", _at("involvedObject", "fieldPath")),
    _wide("Source", _event_source),
    Column("Message", lambda event, now: str(event.get("message") or "").strip()),
    _wide("First Seen", lambda event, now: _event_times(event, now)[0]),
    _wide("Count", _event_count, "integer"),
    _wide("Name", _at("metadata", "name")),
)

COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "namespaces"): (NAME, Column("Status", _at("status", "phase")), AGE),
    ("", "nodes"): _NODE,
    ("", "pods"): _POD,
    ("", "configmaps"): (NAME, Column("Data", _count_of("data", "binaryData"), "integer"), AGE),
    ("", "secrets"): (NAME, Column("Type", _at("type")), Column("Data", _count_of("data"), "integer"), AGE),
    ("", "serviceaccounts"): (NAME, Column("Secrets", _count_of("secrets"), "integer"), AGE),
    ("", "events"): _EVENT,
    ("networking.k8s.io", "networkpolicies"): (NAME, Column("Pod-Selector", _pod_selector), AGE),
    ("coordination.k8s.io", "leases"): (NAME, Column("Holder", _at("spec", "holderIdentity")), AGE),
}
"""By (group, plural)."""
