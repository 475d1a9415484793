"""A leaf-spine: every rack has a leaf, every leaf is wired to every spine, and the leaf routes for its rack.

A packet to another rack goes node, leaf, a spine (by a hash of addresses and ports), leaf, node.
Each rack has an AS number of its own and all spines share one, so that no route goes down and up again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fabric.topology.model import NodeEntry
from fabric.topology.shapes import Shape
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Device, Link, Unwirable, Wiring, natural, numbered, tail_number

RACKS_MAX, SPINES_MAX, UPLINKS_MAX = 250, 16, 4
LEAF_AS, SPINE_AS = 65001, 65000
RACKS, SPINES = 2, 2


@dataclass(frozen=True, slots=True)
class Before:
    """The racks and links of a running fabric, which stay as they are when others come and go."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    """Of leaves: a rack's number gives its AS."""
    control_plane_at: str = ""
    """The leaf that the control plane hangs on: its address is in certificates."""


NOTHING_BEFORE = Before()


def leaf_spine(
    options: Mapping[str, Any],
    nodes: Sequence[NodeEntry],
    before: Before,
    shapes: tuple[Shape, Shape],
) -> Wiring:
    """Return the graph; `shapes` are those of a node's link and of a leaf's uplink."""
    racks = rack_of_nodes(options, nodes)
    count = options.get("racks", RACKS) if "rackLabel" not in options and "nodesPerRack" not in options else 0
    leaves = {f"leaf-{rack}" for rack in (*racks.values(), *map(str, range(1, count + 1)))}
    leaves |= {before.control_plane_at} - {""}
    if len(leaves) > RACKS_MAX:
        raise Unwirable((("underlay",), f"{len(leaves)} racks; allowed: at most {RACKS_MAX}"))
    numbers = numbered(leaves, before.numbers, RACKS_MAX)
    first = options.get("leafAS", LEAF_AS)
    spine_as = options.get("spineAS", SPINE_AS)
    _refuse_shared_as(first, numbers, spine_as)
    names = sorted(leaves, key=natural)
    spines = [f"spine-{number}" for number in range(1, options.get("spines", SPINES) + 1)]
    first_leaf = before.control_plane_at or names[0]
    devices = [Device(CONTROL_PLANE, "host", rack=first_leaf.removeprefix("leaf-"))]
    devices += [Device(node, "host", rack=rack) for node, rack in racks.items()]
    devices += [Device(it, "router", first + numbers[it] - 1, 1, it.removeprefix("leaf-")) for it in names]
    devices += [Device(it, "router", spine_as, 2) for it in spines]
    links = [Link(f"leaf-{it.rack}", it.name, shapes[0]) for it in devices if it.role == "host"]
    uplinks = range(1, options.get("uplinks", 1) + 1)
    links += [Link(leaf, spine, shapes[1], n) for leaf in names for spine in spines for n in uplinks]
    return Wiring(devices, links)


def rack_of_nodes(options: Mapping[str, Any], nodes: Sequence[NodeEntry]) -> dict[str, str]:
    """Return each node's rack: by its label, so many to a rack, or dealt out to a number of racks.

    By number where names have one: node-7 stays in its rack when node-3 leaves.
    """
    label = options.get("rackLabel")
    if label is not None:
        missing = [(index, node.name) for index, node in enumerate(nodes) if label not in node.labels]
        if missing:
            raise Unwirable(
                *((("nodes", index), f"{name} has no label {label!r}, which says its rack")
                  for index, name in missing)
            )  # fmt: skip
        return {node.name: node.labels[label] for node in nodes}
    places = {node.name: tail_number(node.name) or index for index, node in enumerate(nodes, 1)}
    if size := options.get("nodesPerRack"):
        return {name: str((place - 1) // size + 1) for name, place in places.items()}
    racks = options.get("racks", RACKS)
    return {name: str((place - 1) % racks + 1) for name, place in places.items()}


def _refuse_shared_as(first: int, numbers: Mapping[str, int], spine_as: int) -> None:
    shared = [leaf for leaf, number in numbers.items() if first + number - 1 == spine_as]
    if shared:
        what = f"leaf AS numbers count up from {first}, and {shared[0]}'s would be the spines' own {spine_as}"
        raise Unwirable((("underlay", "leafAS"), f"{what}; take numbers that do not meet"))
