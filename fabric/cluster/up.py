"""`fabric up` writes the cluster's spec and sees that a supervisor runs.

`begin` is all that `up` does to the machine, and it is done in a moment; the components do the rest on their
own, whether or not `up` lives to see it. `stages` only watches, and applies the manifests.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fabric.cluster import spec as specs
from fabric.cluster.arp_limit import ArpLimit
from fabric.cluster.cgroup import ClusterCgroup
from fabric.cluster.component_records import supervisor_pid
from fabric.cluster.immutable_fields import refuse_what_cannot_change
from fabric.cluster.lock import held
from fabric.cluster.paths import ClusterPaths, refusals
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.supervisor import Body, launch
from fabric.errors import BadInput, Problem
from fabric.plugin import registry
from fabric.topology.model import Topology
from fabric.topology.wiring import Unwirable


@dataclass(frozen=True, slots=True)
class UpResult:
    """The cluster that `begin` started, or found running."""

    paths: ClusterPaths
    spec: ClusterSpec
    created: bool
    """False when the cluster was there already and is reconciled to the file."""


def begin(
    topology: Topology, features: Collection[str] = (), arp_entries: int = 0, *, tune: bool = False
) -> UpResult:
    """Ask for the cluster and see that a supervisor runs; returns before anything is up.

    `features`: the optional ones that preflight found; a running cluster keeps those it began with.
    `arp_entries`: as many as it will have, for which `tune` raises the machine's limit.
    Must be called before the caller starts threads or an event loop: it forks.
    """
    with refusals():
        return _begin(topology, features, arp_entries, tune)


def _begin(topology: Topology, features: Collection[str], arp_entries: int, tune: bool) -> UpResult:
    paths = ClusterPaths(topology.name)
    paths.refuse_long()
    with held(paths.lock):
        before = specs.read(paths.spec)
        spec = _chosen(topology, before, features)
        if before is not None:
            refuse_what_cannot_change(topology, before, spec)
        ClusterCgroup(topology.name).make()
        paths.make()
        ArpLimit().claim(topology.name, arp_entries, tune=tune)
        if spec != before:
            specs.write(paths.spec, spec)
        if not supervisor_pid(paths):
            launch(paths, components(paths, spec), preload)
    return UpResult(paths, spec, created=before is None)


def _chosen(topology: Topology, before: ClusterSpec | None, features: Collection[str]) -> ClusterSpec:
    try:
        return specs.choose(
            topology,
            before,
            api_port=_free_port(),
            workers=os.cpu_count() or 1,
            features=features,
            node_folders=registry.load(topology.network.plugin).node_folders,
        )
    except Unwirable as error:
        raise BadInput(
            *(Problem(topology.where("spec", *at), what) for at, what in error.complaints)
        ) from None


def components(paths: ClusterPaths, spec: ClusterSpec) -> Mapping[str, Body]:
    """Every process of the cluster, by name, in the order in which they are started.

    The runtimes come first: they need nothing of what `preload` imports.
    """

    def body(process: str, *arguments: int) -> Body:
        return lambda: _module(process).run(paths, *arguments)

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
