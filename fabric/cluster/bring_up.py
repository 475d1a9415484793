"""From a topology to a running cluster: write the spec, see that a supervisor runs, watch the stages go by.

`begin` is all that `up` does to the machine, and it is done in a moment; the components do the rest on their
own, whether or not `up` lives to see it. `settle` only watches, and applies the manifests.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fabric.cluster import spec as specs
from fabric.cluster.immutable import refuse_what_cannot_change
from fabric.cluster.limits import NeighborLimit
from fabric.cluster.lock import held
from fabric.cluster.mark import Mark
from fabric.cluster.places import Places
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.supervisor import Body, launch, recorded
from fabric.errors import BadInput, Problem
from fabric.plugin import registry
from fabric.topology import wires
from fabric.topology.model import Manifest, Topology
from fabric.topology.wiring import Unwirable


@dataclass(frozen=True, slots=True)
class Begun:
    """What `begin` found and did."""

    places: Places
    spec: ClusterSpec
    created: bool
    """False when the cluster was there already and is reconciled to the file."""


def check_network(topology: Topology) -> None:
    """Ask the network plugin what it thinks of the topology; BadInput names each line."""
    if topology.network.plugin not in registry.installed():
        known = ", ".join(registry.installed()) or "none"
        what = f"no network plugin {topology.network.plugin!r} is installed; installed: {known}"
        raise BadInput(Problem(topology.where("spec", "network", "plugin"), what))
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    plugin = registry.load(topology.network.plugin)
    found = plugin.problems(chosen.network.config(), chosen.all_facts())
    if found:
        raise BadInput(*(_network_problem(topology, path, what) for path, what in found))


def _network_problem(topology: Topology, path: str, what: str) -> Problem:
    """`path` is below `network`, or with a `/` below `spec`."""
    whole = path[1:] if path.startswith("/") else f"network.{path}"
    return Problem(topology.where("spec", *_steps(whole)), f"spec.{whole}: {what}")


def network_objects(topology: Topology) -> list[Manifest]:
    """Objects that the network section spells out, and the plugin writes, each with its line."""
    config = specs.choose(topology, None, api_port=0, workers=1).network.config()
    return [
        Manifest(obj, topology.where("spec", "network", *_steps(path)))
        for path, obj in registry.load(topology.network.plugin).resources(config).items()
    ]


def _steps(path: str) -> Iterator[str | int]:
    """A path as a document has it: `ipPools[0].cidr`, or `ipPools.0.cidr`, leads through a list."""
    yield from (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))


def requirements(topology: Topology) -> frozenset[str]:
    """Features and tools that the topology needs, by doctor's names; `ipip|tun` is either of the two."""
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    plugin = registry.load(topology.network.plugin)
    links = wires.requirements(chosen.underlay.wiring())
    daemons = {"bird"} if chosen.underlay.is_routed else set()
    return plugin.requirements(chosen.network.config()) | links | daemons | {"cgroup2"}


def neighbors(topology: Topology) -> int:
    """ARP entries that the network itself has all the time."""
    chosen = specs.choose(topology, None, api_port=0, workers=1)
    return registry.load(topology.network.plugin).neighbors(chosen.network.config(), chosen.all_facts())


def begin(
    topology: Topology, features: Collection[str] = (), neighbors: int = 0, *, tune: bool = False
) -> Begun:
    """Ask for the cluster and see that a supervisor runs; returns before anything is up.

    `features`: the optional ones that preflight found; a running cluster keeps those it began with.
    `neighbors`: ARP entries that it will have, for which `tune` raises the machine's limit.
    Must be called before the caller starts threads or an event loop: it forks.
    """
    places = Places(topology.name)
    with held(places.lock):
        before = specs.read(places.spec)
        spec = _chosen(topology, before, features)
        if before is not None:
            refuse_what_cannot_change(topology, before, spec)
        places.make()
        Mark(topology.name).make()
        NeighborLimit().claim(topology.name, neighbors, tune=tune)
        if spec != before:
            specs.write(places.spec, spec)
        running = recorded(places).get("supervisor", (0, 0))[0]
        if not running:
            launch(places, components(places, spec), preload)
    return Begun(places, spec, created=before is None)


def _chosen(topology: Topology, before: ClusterSpec | None, features: Collection[str]) -> ClusterSpec:
    try:
        return specs.choose(
            topology, before, api_port=_free_port(), workers=os.cpu_count() or 1, features=features
        )
    except Unwirable as error:
        raise BadInput(
            *(Problem(topology.where("spec", *at), what) for at, what in error.complaints)
        ) from None


def components(places: Places, spec: ClusterSpec) -> Mapping[str, Body]:
    """Every process of the cluster, by name, in the order in which they are started.

    The runtimes come first: they need nothing of what `preload` imports.
    """

    def body(process: str, *arguments: int) -> Body:
        return lambda: _module(process).run(places, *arguments)

    workers = range(spec.workers)
    return (
        {f"runtime-{index}": body("runtime", index) for index in workers}
        | {process: body(process) for process in ("api", "underlay", "control")}
        | {f"worker-{index}": body("worker", index) for index in workers}
    )


def preload() -> None:
    """Import what the components run, once, in the process that they are forked from."""
    for process in ("api", "underlay", "control", "worker"):
        _module(process)


def _module(process: str) -> Any:
    return import_module(f"fabric.cluster.processes.{process}")


def _free_port() -> int:
    """A TCP port of the loopback that nobody listens on now; the cluster keeps it for life."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
