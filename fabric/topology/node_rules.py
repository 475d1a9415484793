"""Labels, taints and capacity of a file's nodes obey the rules that Kubernetes has for a Node.

JSON Schema has said already that names and values are text. The rest is told here, each fault at its own line
with the rule that it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fabric.api.names import label_value_faults, qualified_name_faults
from fabric.topology.complaints import dotted, show
from fabric.topology.document import Path

RESOURCES = ("cpu", "memory", "pods", "ephemeral-storage")
HUGE_PAGES = "hugepages-"
Fault = tuple[Path, str]


def node_faults(at: Path, node: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield (path, sentence) for each rule that a node's entry at path `at` breaks."""
    yield from _labels((*at, "labels"), node.get("labels") or {})
    yield from _taints((*at, "taints"), node.get("taints") or ())
    yield from _capacity((*at, "capacity"), node.get("capacity") or {})


def _labels(at: Path, labels: Mapping[str, str]) -> Iterator[Fault]:
    for key, value in labels.items():
        yield from _faults((*at, key), f"{dotted(at)} has the key {show(key)}", qualified_name_faults(key))
        yield from _faults((*at, key), f"{dotted((*at, key))} is {show(value)}", label_value_faults(value))


def _taints(at: Path, taints: Iterable[Mapping[str, str]]) -> Iterator[Fault]:
    first: dict[tuple[str, str], int] = {}
    for index, taint in enumerate(taints):
        for name, rule in (("key", qualified_name_faults), ("value", label_value_faults)):
            if name in taint:
                path = (*at, index, name)
                yield from _faults(path, f"{dotted(path)} is {show(taint[name])}", rule(taint[name]))
        before = first.setdefault((taint["key"], taint["effect"]), index)
        if before != index:
            what = f"a second {taint['key']}:{taint['effect']}; taints must be unique by key and effect pair"
            yield (*at, index), f"{dotted((*at, index))} is {what} (the first: taints[{before}])"


def _capacity(at: Path, capacity: Mapping[str, Any]) -> Iterator[Fault]:
    for name, quantity in capacity.items():
        path = (*at, name)
        yield from _faults(path, f"{dotted(at)} has the key {show(name)}", qualified_name_faults(name))
        is_native = "/" not in name
        if is_native and name not in RESOURCES and not name.startswith(HUGE_PAGES):
            what = f"a resource is one of {', '.join(RESOURCES)}, or an extended one such as example.com/gpu"
            yield path, f"{dotted(at)} has the key {show(name)}: {what}"
        is_counted = name == "pods" or not is_native
        if is_counted and not str(quantity).isdecimal():
            yield path, f"{dotted(path)} is {show(quantity)}: must be an integer"


def _faults(path: Path, what: str, faults: Iterable[str]) -> Iterator[Fault]:
    for fault in faults:
        yield path, f"{what}: {fault}"
