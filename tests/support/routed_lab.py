"""An underlay in namespaces of its own, with a real BIRD on every router, as the cluster would have it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from fabric.bird.config import Config
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.plan import diff
from fabric.topology import routed, routers
from fabric.topology.addressing import Addresses, Numbers, addresses
from fabric.topology.model import NodeEntry
from fabric.topology.routers import HostPeering
from fabric.topology.wires import Wires, wires
from fabric.topology.wiring import Wiring
from support.bird_lab import BirdLab
from support.namespaces import namespaces, run_inside


class RoutedLab:
    """`settle` writes the namespaces; `birds` are started with what each router is told."""

    def __init__(self, made: Wires, pids: dict[str, int], folder: Path, peering: HostPeering) -> None:
        self._ranges, self._peering = made.ranges, peering
        self.wiring: Wiring = made.wiring
        self.given: Addresses = addresses(made.wiring, made.ranges, {}, Numbers())
        self.kernel = LinuxKernel(pids)
        self.birds = BirdLab(pids, folder)

    def configs(self) -> dict[str, Config]:
        speakers = routed.speakers(self.wiring, self.given)
        return {it: routers.config(speaker, self._ranges, self._peering) for it, speaker in speakers.items()}

    async def settle(self) -> None:
        """Apply every namespace's state once, routers and switches first."""
        version = self._ranges.hosts.version
        for device in sorted(self.wiring.devices, key=lambda it: it.role == "host"):
            host, owner = self.kernel.host(device.name), routed.owner(device.role, version)
            await host.apply(diff(routed.state(self.wiring, self.given, device.name), await host.read(owner)))

    async def start(self) -> None:
        await self.settle()
        for router, config in self.configs().items():
            self.birds.start(router, config)

    async def pull(self, *links: str) -> None:
        """Pull these cables, and put all others back in."""
        changed = (replace(it, up=it.name not in links) for it in self.wiring.links)
        self.wiring = Wiring(self.wiring.devices, changed)
        await self.settle()

    def run(self, name: str, *command: str) -> str:
        return run_inside(self.kernel.pids[name], *command)

    def grow(self, options: dict[str, Any], entries: Sequence[NodeEntry]) -> dict[str, Config]:
        """What each router would be told if the graph became that one, and who stays kept its numbers."""
        made = wires(options, entries, Path())
        given = addresses(made.wiring, made.ranges, self.given.hosts, self.given.numbers)
        speakers = routed.speakers(made.wiring, given)
        return {it: routers.config(speaker, made.ranges, self._peering) for it, speaker in speakers.items()}

    def ways(self, router: str, destination: object) -> set[str]:
        """The devices over which a router's kernel reaches a network, by what BIRD wrote."""
        family = "-6" if ":" in str(destination) else "-4"
        words = self.run(router, "ip", family, "route", "show", str(destination), "proto", "bird").split()
        return {after for word, after in pairwise(words) if word == "dev"}


@contextmanager
def routed_lab(
    options: dict[str, Any], entries: Sequence[NodeEntry], peering: HostPeering = "internal"
) -> Iterator[RoutedLab]:
    made = wires(options, entries, Path())
    names = [it.name for it in made.wiring.devices]
    with tempfile.TemporaryDirectory(prefix="birds-") as folder, namespaces(*names) as pids:
        lab = RoutedLab(made, pids, Path(folder), peering)
        try:
            yield lab
        finally:
            lab.birds.end()
            lab.kernel.close()
