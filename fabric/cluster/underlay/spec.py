"""The underlay's part of the spec: the graph with its choices made.

Components never make the graph again: what a generator, a Topo class or the order of a file gave is written
down with the numbers that addresses come from, and what has a number keeps it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fabric.netstate.objects import IPInterface
from fabric.topology import addressing
from fabric.topology.addressing import Addresses, Numbers, Ranges
from fabric.topology.leafspine import Before
from fabric.topology.model import Topology
from fabric.topology.routers import HostPeering
from fabric.topology.shapes import Shape
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wires import MTU, Wires, wires
from fabric.topology.wiring import Device, Link, Wiring, natural


class RangesSpec(msgspec.Struct, frozen=True):
    """The ranges that addresses come from, as the file has them or by default."""

    subnet: str
    subnet_prefix: int
    link_subnet: str
    loopback_subnet: str

    @classmethod
    def of(cls, ranges: Ranges) -> RangesSpec:
        return cls(str(ranges.hosts), ranges.host_prefix, str(ranges.links), str(ranges.loopbacks))

    def ranges(self) -> Ranges:
        return Ranges(
            ipaddress.ip_network(self.subnet),
            self.subnet_prefix,
            ipaddress.ip_network(self.link_subnet),
            ipaddress.ip_network(self.loopback_subnet),
        )


class LinkChange(msgspec.Struct, frozen=True):
    """The change that `fabric link` made to a link since the last `fabric up`."""

    up: bool = True
    shape: Shape | None = None
    """None: as the file says."""


class UnderlaySpec(msgspec.Struct, frozen=True):
    """The wiring of the running cluster's hosts."""

    kind: str
    options: dict[str, Any]
    """`spec.underlay` as in the file."""
    devices: tuple[Device, ...]
    links: tuple[Link, ...]
    ranges: RangesSpec
    numbers: Numbers
    control_plane: str
    """The address where pods reach the API server, with its prefix length."""
    workers: dict[str, int]
    """Whose runtime starts each switch and router; the highest tier first."""
    changes: dict[str, LinkChange] = {}
    """By the link's name."""

    @property
    def control_plane_address(self) -> IPInterface:
        return ipaddress.ip_interface(self.control_plane)

    @property
    def mtu(self) -> int:
        return int(self.options.get("mtu", MTU))

    @property
    def is_routed(self) -> bool:
        return any(device.role == "router" for device in self.devices)

    @property
    def host_peering(self) -> HostPeering:
        found: HostPeering = self.options.get("hostPeering", "internal")
        return found

    def wiring(self) -> Wiring:
        """Return the graph as it is now: with what `fabric link` changed."""
        return Wiring(self.devices, (self._now(link) for link in self.links))

    def _now(self, link: Link) -> Link:
        change = self.changes.get(link.name)
        return replace(link, up=change.up, shape=change.shape or link.shape) if change else link

    def addresses(self, wiring: Wiring, taken: Mapping[str, IPInterface]) -> Addresses:
        """Return every address; `taken` are the nodes'."""
        return addressing.addresses(wiring, self.ranges.ranges(), taken, self.numbers)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The underlay's choices, and what follows from them for the nodes."""

    spec: UnderlaySpec
    addresses: Mapping[str, IPInterface]
    """By node."""
    mtus: Mapping[str, int]


def choose(
    topology: Topology, before: UnderlaySpec | None, taken: Mapping[str, IPInterface], workers: int
) -> Chosen:
    """Make the graph and give numbers; what `before` and `taken` have is kept.

    Unwirable when that cannot be.
    """
    made = _made(topology, before)
    numbers = before.numbers if before else Numbers()
    given = addressing.addresses(made.wiring, made.ranges, taken, numbers)
    spec = UnderlaySpec(
        kind=topology.underlay.kind,
        options=dict(topology.underlay.options),
        devices=tuple(made.wiring.devices),
        links=tuple(made.wiring.links),
        ranges=RangesSpec.of(made.ranges),
        numbers=given.numbers,
        control_plane=str(given.hosts[CONTROL_PLANE]),
        workers=_workers(made.wiring.of_role("switch", "router"), before.workers if before else {}, workers),
    )
    names = [node.name for node in topology.nodes]
    mtus = {name: link.shape.mtu for name in names for link in made.wiring.links_of(name)}
    return Chosen(spec, {name: given.hosts[name] for name in names}, mtus)


def _made(topology: Topology, before: UnderlaySpec | None) -> Wires:
    kept = Before()
    if before is not None and before.kind == topology.underlay.kind:
        (link,) = Wiring(before.devices, before.links).links_of(CONTROL_PLANE)
        kept = Before(before.numbers.segments, link.other(CONTROL_PLANE))
    options, nodes = topology.underlay.options, topology.nodes
    return wires(options, nodes, topology.source.parent, before=kept)


def _workers(devices: Iterable[Device], before: Mapping[str, int], count: int) -> dict[str, int]:
    """Deal switches and routers out to the workers; one that stays keeps its own."""
    ordered = sorted(devices, key=lambda it: (-it.tier, natural(it.name)))
    placed = {it.name: before[it.name] for it in ordered if it.name in before}
    load = [sum(worker == index for worker in placed.values()) for index in range(count)]
    for device in ordered:
        if device.name not in placed:
            placed[device.name] = load.index(min(load))
            load[placed[device.name]] += 1
    return {it.name: placed[it.name] for it in ordered}
