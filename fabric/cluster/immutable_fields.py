"""Immutable fields of a running cluster: its ranges, its plugin, addresses and MTUs of nodes that stay.

Nodes, racks, routers and links may come and go; a file that would move what is there is refused by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile, zip_longest

from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.spec import UnderlaySpec
from fabric.errors import BadInput, Problem
from fabric.topology.complaints import dotted, show
from fabric.topology.document import Path
from fabric.topology.model import Topology
from fabric.topology.wires import BRIDGED

ABSENT = object()


def refuse_what_cannot_change(topology: Topology, before: ClusterSpec, spec: ClusterSpec) -> None:
    """BadInput names each line of the file that would change what cannot be."""
    problems = [*_sections(topology, before, spec)]
    if before.underlay.kind == spec.underlay.kind and before.underlay.ranges == spec.underlay.ranges:
        problems += _addresses(topology, before, spec)
    if problems:
        raise BadInput(*problems)


def _sections(topology: Topology, before: ClusterSpec, spec: ClusterSpec) -> Iterator[Problem]:
    fixed: tuple[tuple[tuple[str, ...], object, object], ...] = (
        (("underlay", "kind"), before.underlay.kind, spec.underlay.kind),
        *_ranges(before.underlay, spec.underlay),
        (("underlay", "mtu"), before.underlay.mtu, spec.underlay.mtu),
        (("podCIDR",), before.network.pod_cidrs, spec.network.pod_cidrs),
        (("serviceCIDR",), before.network.service_cidrs, spec.network.service_cidrs),
        (("network", "plugin"), before.network.plugin, spec.network.plugin),
        (("network", "backend"), before.network.backend, spec.network.backend),
        (("network", "mtu"), before.network.mtu, spec.network.mtu),
    )
    for path, was, would_be in fixed:
        if was != would_be:
            yield Problem(
                topology.where("spec", *path),
                f"spec.{'.'.join(path)} is {_plain(would_be)}, and the running cluster has {_plain(was)}; "
                f"take it down first: fabric down {spec.name}",
            )
    path = ("spec", "network", "options")
    for at, was, would_be in differences(path, before.network.options, spec.network.options):
        what = "is not set" if would_be is ABSENT else f"is {_shown(would_be)}"
        there = "does not set it" if was is ABSENT else f"has {_shown(was)}"
        yield Problem(
            topology.where(*at),
            f"{dotted(at)} {what}, and the running cluster {there}; "
            f"take it down first: fabric down {spec.name}",
        )


def differences(path: Path, was: object, would_be: object) -> Iterator[tuple[Path, object, object]]:
    """Each (path, old value, new value) in which two values of JSON differ; ABSENT is what one does not have.

    What is put into a list, or taken out of it, in one place is told alone, and not all that moved by it.
    """
    if isinstance(was, Mapping) and isinstance(would_be, Mapping):
        for name in {**would_be, **was}:
            yield from differences((*path, name), was.get(name, ABSENT), would_be.get(name, ABSENT))
    elif isinstance(was, list) and isinstance(would_be, list):
        first = _common(was, would_be)
        last = _common(was[first:][::-1], would_be[first:][::-1])
        pairs = zip_longest(
            was[first : len(was) - last], would_be[first : len(would_be) - last], fillvalue=ABSENT
        )
        for index, (one, other) in enumerate(pairs, first):
            yield from differences((*path, index), one, other)
    elif was != would_be:
        yield path, was, would_be


def _common(one: list[object], other: list[object]) -> int:
    """Count the values that two lists begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _ranges(old: UnderlaySpec, new: UnderlaySpec) -> Iterator[tuple[tuple[str, ...], object, object]]:
    """The ranges that underlays of both kinds have; one without routers has its subnet only."""
    yield ("underlay", "subnet"), old.ranges.subnet, new.ranges.subnet
    if old.kind == new.kind and old.kind not in BRIDGED:
        yield ("underlay", "subnetPrefix"), old.ranges.subnet_prefix, new.ranges.subnet_prefix
        yield ("underlay", "linkSubnet"), old.ranges.link_subnet, new.ranges.link_subnet
        yield ("underlay", "loopbackSubnet"), old.ranges.loopback_subnet, new.ranges.loopback_subnet


def _addresses(topology: Topology, before: ClusterSpec, spec: ClusterSpec) -> Iterator[Problem]:
    old = {node.name: node for node in before.nodes}
    for index, node in enumerate(spec.nodes):
        was = old.get(node.name, node)
        for what, one, other in (("address", was.address, node.address), ("MTU", was.mtu, node.mtu)):
            if one != other:
                yield Problem(
                    topology.where("spec", "nodes", index),
                    f"{node.name} has the {what} {one} and would have {other}; a node keeps it while the "
                    f"cluster runs: give the node another name, or take the cluster down: "
                    f"fabric down {spec.name}",
                )
    if before.underlay.control_plane != spec.underlay.control_plane:
        yield Problem(
            topology.where("spec", "underlay"),
            f"the control plane would move from {before.underlay.control_plane} to "
            f"{spec.underlay.control_plane}; take the cluster down first: fabric down {spec.name}",
        )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else show(value)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
