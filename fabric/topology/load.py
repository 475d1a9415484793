"""A topology file is read and checked: all errors of the file are told at once, each with its line.

Three passes: YAML, the schema of the underlay's kind, then what a schema cannot say (ranges that overlap,
names that occur twice, graphs in two pieces, manifests that are not there). What only a network plugin knows
is asked of it by the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fabric.errors import BadInput, Problem
from fabric.netstate.objects import IPNetwork
from fabric.topology.complaints import complaints, dotted, range_of, show
from fabric.topology.document import Document, documents, read_text
from fabric.topology.document import Path as ValuePath
from fabric.topology.images import images
from fabric.topology.manifests import manifests
from fabric.topology.model import Network, NodeEntry, Taint, Topology, Underlay
from fabric.topology.node_rules import node_faults
from fabric.topology.underlay_schema import schema_of
from fabric.topology.wires import wires
from fabric.topology.wiring import Unwirable

RESERVED_NAMES = frozenset({"switch", "control-plane"})
POD_CIDR, SERVICE_CIDR = "10.244.0.0/16", "10.96.0.0/16"
UNDERLAY = {"kind": "l2"}
"""What a file has that says nothing of it."""


def load(path: Path) -> Topology:
    """Read and check the file at `path`; BadInput carries every problem found."""
    return loads(read_text(path), path)


def loads(text: str, source: Path) -> Topology:
    """Check a topology's text; `source` names it in messages and anchors relative paths."""
    found = documents(text, str(source))
    if len(found) != 1:
        what = "empty" if not found else f"{len(found)} YAML documents"
        raise BadInput(Problem(f"{source}:1", f"{what}; a topology is exactly one document"))
    document = found[0]
    schema = schema_of(_kind(document))
    problems = [_problem(source, document, at, what) for at, what in complaints(document, schema)]
    if problems:
        raise BadInput(*sorted(problems, key=_line))
    spec = document.value["spec"]
    nodes = _nodes(spec["nodes"])
    problems = [_problem(source, document, at, what) for at, what in _beyond_schema(spec, nodes, source)]
    objects, broken = manifests(spec.get("manifests", []), document, source)
    added, wrong = images(spec.get("images", {}), document, source)
    if problems or broken or wrong:
        raise BadInput(*sorted(problems, key=_line), *wrong, *broken)
    return Topology(
        name=document.value["metadata"]["name"],
        nodes=nodes,
        underlay=_underlay(spec),
        pod_cidrs=(ipaddress.ip_network(spec.get("podCIDR", POD_CIDR)),),
        service_cidrs=(ipaddress.ip_network(spec.get("serviceCIDR", SERVICE_CIDR)),),
        network=Network(**spec["network"]),
        store=spec.get("store", "embedded"),
        manifests=tuple(objects),
        source=source,
        images=added,
        lines=document.lines,
    )


def _beyond_schema(
    spec: dict[str, Any], nodes: Sequence[NodeEntry], source: Path
) -> Iterator[tuple[ValuePath, str]]:
    ranges: dict[ValuePath, IPNetwork] = {}
    for key, default in (("podCIDR", POD_CIDR), ("serviceCIDR", SERVICE_CIDR)):
        text = spec.get(key, default)
        try:
            ranges[(key,)] = found = range_of(text)
        except ValueError as error:
            yield (
                ("spec", key),
                f"spec.{key} is {show(text)}: {error}; allowed: an IPv4 range such as {default}",
            )
        else:
            if found.version != 4:
                yield (
                    ("spec", key),
                    f"spec.{key} is {show(text)}: IPv6; allowed: an IPv4 range such as {default}",
                )
    if len(ranges) == 2:
        pods, services = ranges.values()
        if pods.overlaps(services):
            yield ("spec", "podCIDR"), f"spec.podCIDR {pods} overlaps spec.serviceCIDR {services}"
    listed = spec["nodes"] if isinstance(spec["nodes"], list) else []
    for index, node in enumerate(listed):
        yield from node_faults(("spec", "nodes", index), node)
    names = list(_names(listed))
    yield from names
    if names:
        return
    try:
        made = wires(spec.get("underlay", UNDERLAY), nodes, source.parent, others=ranges)
    except Unwirable as error:
        yield from ((("spec", *at), f"{dotted(('spec', *at))}: {what}") for at, what in error.complaints)
    else:
        if made.ranges.hosts.version != 4:
            what = f"{made.ranges.hosts} is IPv6; allowed: an IPv4 range, as for pods"
            yield ("spec", "underlay", "subnet"), f"spec.underlay.subnet: {what}"


def _names(nodes: list[dict[str, Any]]) -> Iterator[tuple[ValuePath, str]]:
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        name = node["name"]
        if name in RESERVED_NAMES:
            yield (
                ("spec", "nodes", index, "name"),
                f"a node cannot be called {name!r}: fabric has one of its own",
            )
        if name in seen:
            yield ("spec", "nodes", index, "name"), f"a second node called {name!r}; names must differ"
        seen.add(name)


def _nodes(value: Any) -> tuple[NodeEntry, ...]:
    if isinstance(value, int):
        return tuple(NodeEntry(f"node-{number}") for number in range(1, value + 1))
    return tuple(
        NodeEntry(
            name=node["name"],
            labels=node.get("labels", {}),
            taints=tuple(Taint(**taint) for taint in node.get("taints", ())),
            capacity={name: str(quantity) for name, quantity in node.get("capacity", {}).items()},
        )
        for node in value
    )


def _underlay(spec: dict[str, Any]) -> Underlay:
    options = spec.get("underlay", UNDERLAY)
    return Underlay(options["kind"], options)


def _kind(document: Document) -> object:
    """Return the value at `spec.underlay.kind`, in a document that may be anything."""
    value = document.value
    for key, default in (("spec", {}), ("underlay", UNDERLAY), ("kind", None)):
        value = value.get(key, default) if isinstance(value, dict) else None
    return value


def _problem(source: Path, document: Document, at: ValuePath, what: str) -> Problem:
    return Problem(f"{source}:{document.line(at)}", what)


def _line(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])
