"""From a file to a `Topology`: every error of the file at once, each with its line.

Three passes: YAML, the schema, then what a schema cannot say (ranges that overlap, names that occur twice,
manifests that are not there). What only a network plugin knows is asked of it by the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from fabric.errors import BadInput, Problem
from fabric.netstate.objects import IPNetwork
from fabric.topology.complaints import complaints, dotted, show
from fabric.topology.document import Document, documents
from fabric.topology.document import Path as ValuePath
from fabric.topology.manifests import manifests
from fabric.topology.model import Network, NodeEntry, Taint, Topology, Underlay
from fabric.topology.schema import SCHEMA

BYTES_MAX = 64 * 1024 * 1024
RESERVED_NAMES = frozenset({"switch", "control-plane"})
POD_CIDR, SERVICE_CIDR, SUBNET, MTU = "10.244.0.0/16", "10.96.0.0/16", "192.168.0.0/16", 1500
ADDRESSES_BEFORE_NODES = 16
"""Network, gateway, control plane and room for more, before the first node's address."""


def load(path: Path) -> Topology:
    """Read and check the file at `path`; BadInput carries every problem found."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BadInput(Problem(f"{path}:1", f"larger than {BYTES_MAX >> 20} MiB: not a topology"))
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadInput(Problem(f"{path}:{line}", "not text in UTF-8")) from None
    except OSError as error:
        raise BadInput(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    return loads(text, path)


def loads(text: str, source: Path) -> Topology:
    """Check a topology's text; `source` names it in messages and anchors relative paths."""
    found = documents(text, str(source))
    if len(found) != 1:
        what = "empty" if not found else f"{len(found)} YAML documents"
        raise BadInput(Problem(f"{source}:1", f"{what}; a topology is exactly one document"))
    document = found[0]
    problems = [_problem(source, document, at, what) for at, what in complaints(document, SCHEMA)]
    if problems:
        raise BadInput(*sorted(problems, key=_line))
    spec = document.value["spec"]
    problems = [_problem(source, document, at, what) for at, what in _beyond_schema(spec)]
    objects, broken = manifests(spec.get("manifests", []), document, source)
    if problems or broken:
        raise BadInput(*sorted(problems, key=_line), *broken)
    return Topology(
        name=document.value["metadata"]["name"],
        nodes=_nodes(spec["nodes"]),
        underlay=_underlay(spec),
        pod_cidrs=(ipaddress.ip_network(spec.get("podCIDR", POD_CIDR)),),
        service_cidrs=(ipaddress.ip_network(spec.get("serviceCIDR", SERVICE_CIDR)),),
        network=Network(**spec["network"]),
        store=spec.get("store", "embedded"),
        manifests=tuple(objects),
        source=source,
        lines=document.lines,
    )


def _beyond_schema(spec: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    ranges: dict[ValuePath, IPNetwork] = {}
    asked: dict[ValuePath, str] = {
        ("spec", "podCIDR"): spec.get("podCIDR", POD_CIDR),
        ("spec", "serviceCIDR"): spec.get("serviceCIDR", SERVICE_CIDR),
        ("spec", "underlay", "subnet"): spec.get("underlay", {}).get("subnet", SUBNET),
    }
    for at, text in asked.items():
        try:
            ranges[at] = ipaddress.IPv4Network(text)
        except ValueError as error:
            yield at, f"{dotted(at)} is {show(text)}: {error}; allowed: an IPv4 range such as {POD_CIDR}"
    for (at, one), (other_at, other) in combinations(ranges.items(), 2):
        if one.overlaps(other):
            yield at, f"{dotted(at)} {one} overlaps {dotted(other_at)} {other}"
    count = spec["nodes"] if isinstance(spec["nodes"], int) else len(spec["nodes"])
    subnet = ranges.get(("spec", "underlay", "subnet"))
    if subnet and subnet.num_addresses < count + ADDRESSES_BEFORE_NODES + 1:
        room = max(0, subnet.num_addresses - ADDRESSES_BEFORE_NODES - 1)
        yield ("spec", "underlay", "subnet"), f"{subnet} has room for {room} nodes; {count} are asked for"
    if isinstance(spec["nodes"], list):
        yield from _names(spec["nodes"])


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
    value = spec.get("underlay", {"kind": "l2"})
    subnet = ipaddress.ip_network(value.get("subnet", SUBNET))
    return Underlay(value["kind"], subnet, value.get("mtu", MTU))


def _problem(source: Path, document: Document, at: ValuePath, what: str) -> Problem:
    line = next(document.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in document.lines)
    return Problem(f"{source}:{line}", what)


def _line(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])
