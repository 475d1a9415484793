"""The section `spec.underlay` of a file is made into a graph with its ranges.

A file of a known kind has passed its schema (`underlay_schema.schema_of`); here is checked what a schema
cannot say, and every complaint has its path below `spec`, so that the caller can name the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path as FilePath
from typing import Any

from fabric.netstate.objects import IPNetwork
from fabric.topology import addressing, mininet_topo, soundness
from fabric.topology.addressing import Ranges
from fabric.topology.complaints import range_of
from fabric.topology.document import Path
from fabric.topology.explicit import explicit, generated
from fabric.topology.leafspine import NOTHING_BEFORE, Before, leaf_spine
from fabric.topology.model import NodeEntry
from fabric.topology.shapes import Shape, shape
from fabric.topology.underlay import CONTROL_PLANE, SWITCH
from fabric.topology.wiring import Device, Link, Unwirable, Wiring

MTU = 1500
SUBNETS = {"subnet": "192.168.0.0/16", "linkSubnet": "172.16.0.0/16", "loopbackSubnet": "172.17.0.0/16"}
SUBNET_PREFIX = {4: 24, 6: 64}
BRIDGED = ("l2", "mininet")
"""Kinds without routers: one segment has the whole subnet."""
_ALTERNATIVES = ("racks", "nodesPerRack", "rackLabel")
_GENERATED, _DRAWN = ("generator", "arguments", "coreLinks", "hostLinks"), ("routers", "switches", "links")


@dataclass(frozen=True, slots=True)
class Wires:
    """A sound graph, and where its addresses come from."""

    wiring: Wiring
    ranges: Ranges


def wires(
    options: Mapping[str, Any],
    nodes: Sequence[NodeEntry],
    folder: FilePath,
    *,
    before: Before = NOTHING_BEFORE,
    others: Mapping[Path, IPNetwork] | None = None,
) -> Wires:
    """Return what `spec.underlay` asks for; Unwirable has every complaint.

    `folder` anchors relative paths, `before` is what must stay as it is, `others` are the
    ranges that this one's must not overlap, by their path below `spec`.
    """
    kind = options["kind"]
    complaints = list(_alternatives(options))
    shapes = dict(_shapes(options, complaints))
    ranges = _ranges(options, others or {}, complaints)
    if complaints or ranges is None:
        raise Unwirable(*complaints)
    made = _wiring(kind, options, nodes, folder, before, shapes)
    complaints = [*soundness.complaints(made)] or [*addressing.problems(made, ranges)]
    if complaints:
        raise Unwirable(*complaints)
    return Wires(made, ranges)


def requirements(wiring: Wiring) -> frozenset[str]:
    """Return the kernel features that the links need, by doctor's names."""
    kinds = {queue.kind for link in wiring.links if (queue := link.shape.qdisc("eth0"))}
    return frozenset({"veth", "bridge"} | (kinds & {"tbf", "netem"}))


def needs_netem(wiring: Wiring) -> list[Link]:
    """Return the links that need sch_netem: preflight names the first, or says what the kernel lacks."""
    return [link for link in wiring.links if link.shape.needs_netem]


def _wiring(
    kind: str,
    options: Mapping[str, Any],
    nodes: Sequence[NodeEntry],
    folder: FilePath,
    before: Before,
    shapes: Mapping[Path, Shape],
) -> Wiring:
    plain = Shape(mtu=options.get("mtu", MTU))
    host = shapes.get(("hostLinks",), plain)
    match kind:
        case "l2":
            devices = [Device(it.name, "host") for it in nodes]
            hosts = [Device(CONTROL_PLANE, "host"), *devices]
            return Wiring(
                [Device(SWITCH, "switch", tier=1), *hosts], [Link(it.name, SWITCH, plain) for it in hosts]
            )
        case "leaf-spine":
            return leaf_spine(options, nodes, before, (host, shapes.get(("uplinkLinks",), plain)))
        case "mininet":
            return mininet_topo.from_mininet(options, nodes, folder, plain)
    if "generator" in options:
        return generated(options, nodes, host, shapes.get(("coreLinks",), plain))
    links = [shapes.get(("links", index), plain) for index in range(len(options.get("links", ())))]
    return explicit(options, nodes, links, plain)


def _alternatives(options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    asked = [key for key in _ALTERNATIVES if key in options]
    if len(asked) > 1 and set(asked) != {"racks", "nodesPerRack"}:
        yield ("underlay", asked[-1]), f"{' and '.join(asked)} exclude each other; leave one"
    elif len(asked) > 1:
        yield ("underlay", "racks"), "racks follow from nodesPerRack; leave one of the two out"
    if options["kind"] == "graph":
        wrong = _DRAWN if "generator" in options else _GENERATED
        for key in (key for key in wrong if key in options):
            what = "goes without a generator" if "generator" in options else "goes with a generator only"
            yield ("underlay", key), f"{key} {what}"


def _shapes(options: Mapping[str, Any], complaints: list[tuple[Path, str]]) -> Iterator[tuple[Path, Shape]]:
    """Yield every shape of the underlay by its path below it; a link without an MTU has the underlay's."""
    plain = Shape(mtu=options.get("mtu", MTU))
    asked: dict[Path, Any] = {(key,): options[key] for key in options if key.endswith("Links")}
    asked |= {("links", index): value for index, value in enumerate(options.get("links", ()))}
    for at, value in asked.items():
        try:
            yield at, shape(value, plain)
        except ValueError as error:
            key, what = error.args
            complaints.append((("underlay", *at, key), f"{key} {what}"))


def _ranges(
    options: Mapping[str, Any], others: Mapping[Path, IPNetwork], complaints: list[tuple[Path, str]]
) -> Ranges | None:
    keys = ("subnet",) if options["kind"] in BRIDGED else tuple(SUBNETS)
    found: dict[Path, IPNetwork] = {}
    for key in keys:
        at: Path = ("underlay", key)
        try:
            found[at] = range_of(options.get(key, SUBNETS[key]))
        except ValueError as error:
            complaints.append((at, f"{error}; allowed: a range such as {SUBNETS[key]}"))
    for (one_at, one), (other_at, other) in combinations({**found, **others}.items(), 2):
        if one_at in found and one.version == other.version and one.overlaps(other):
            complaints.append(_overlap(options, (one_at, one), (other_at, other)))
    if len(found) < len(keys):
        return None
    hosts, *more = found.values()
    if options["kind"] in BRIDGED:
        return Ranges(hosts, hosts.prefixlen, hosts, hosts)
    links, loopbacks = more
    prefix = options.get("subnetPrefix", max(SUBNET_PREFIX[hosts.version], hosts.prefixlen))
    if not hosts.prefixlen <= prefix <= hosts.max_prefixlen - 4:
        allowed = f"{hosts.prefixlen} to {hosts.max_prefixlen - 4}"
        complaints.append((("underlay", "subnetPrefix"), f"/{prefix} of {hosts}; allowed: {allowed}"))
    if {it.version for it in more} != {hosts.version}:
        complaints.append((("underlay", "linkSubnet"), "all ranges of an underlay are of one family"))
    return Ranges(hosts, prefix, links, loopbacks)


def _overlap(options: Mapping[str, Any], *two: tuple[Path, IPNetwork]) -> tuple[Path, str]:
    """Complain of a range that the file has, rather than of a default of the underlay's."""
    (at, here), (rest, there) = sorted(two, key=lambda it: it[0][0] == "underlay" and it[0][1] not in options)
    return at, f"{here} overlaps spec.{'.'.join(map(str, rest))} {there}"
