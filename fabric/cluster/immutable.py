"""What a running cluster cannot change: its ranges, its plugin, and the addresses and MTUs of who stays.

Nodes, racks, routers and links may come and go; a file that would move what is there is refused by line.
"""

from __future__ import annotations

from collections.abc import Iterator

from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay_spec import UnderlaySpec
from fabric.errors import BadInput, Problem
from fabric.topology.model import Topology
from fabric.topology.wires import BRIDGED


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
        (("network", "options"), before.network.options, spec.network.options),
    )
    for path, was, would_be in fixed:
        if was != would_be:
            yield Problem(
                topology.where("spec", *path),
                f"spec.{'.'.join(path)} is {_plain(would_be)}, and the running cluster has {_plain(was)}; "
                f"take it down first: fabric down {spec.name}",
            )


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


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
