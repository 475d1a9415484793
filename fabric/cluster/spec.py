"""The spec of a cluster is one file that every component reads: written by `up`, whole, and atomically.

It is the topology with its choices made: each node has its address and its worker, and keeps them
when the file changes around it. Components follow the file: `changes` yields what `up` wrote last.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fabric.cluster.filechanges import following
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.underlay import spec as underlay_spec
from fabric.cluster.underlay.spec import UnderlaySpec
from fabric.errors import FabricError
from fabric.kubelet.catalogue import Catalogue, Image
from fabric.netstate.objects import IPInterface
from fabric.plugin.contract import NetworkConfig, NodeFacts
from fabric.topology.model import Topology
from fabric.topology.underlay import DEVICE


class ClusterNode(msgspec.Struct, frozen=True):
    """A node of the running cluster."""

    name: str
    address: str
    worker: int
    mtu: int
    """Of its link in the file: what `fabric link set` changes is not told to the plugin."""
    labels: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()
    capacity: dict[str, str] = {}

    @property
    def interface(self) -> IPInterface:
        return ipaddress.ip_interface(self.address)


class NetworkSpec(msgspec.Struct, frozen=True):
    """The pod network, as the plugin gets it."""

    plugin: str
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    backend: str = ""
    mtu: int = 0
    options: dict[str, Any] = {}
    node_folders: tuple[str, ...] = ()
    """What a node has of its own on disk for this plugin."""

    def config(self) -> NetworkConfig:
        return NetworkConfig(
            pod_cidrs=tuple(map(ipaddress.ip_network, self.pod_cidrs)),
            service_cidrs=tuple(map(ipaddress.ip_network, self.service_cidrs)),
            backend=self.backend,
            mtu=self.mtu,
            options=self.options,
        )


class ImageSpec(msgspec.Struct, frozen=True):
    """An image that the cluster adds to the built-in ones."""

    name: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = "/"
    root: str = ""
    ports: tuple[int, ...] = ()

    def image(self) -> Image:
        root = Path(self.root) if self.root else None
        return Image(self.name, self.command, self.args, self.env, self.cwd, root, self.ports)


class ClusterSpec(msgspec.Struct, frozen=True):
    """The whole cluster."""

    name: str
    source: str
    api_port: int
    workers: int
    underlay: UnderlaySpec
    network: NetworkSpec
    nodes: tuple[ClusterNode, ...]
    features: tuple[str, ...] = ()
    """Optional features of this machine's kernel, found out when the cluster was made."""
    images: tuple[ImageSpec, ...] = ()

    def catalogue(self) -> Catalogue:
        """Return the images that this cluster's manifests can name."""
        return Catalogue.default(spec.image() for spec in self.images)

    def facts(self, node: ClusterNode) -> NodeFacts:
        return NodeFacts(node.name, (node.interface,), DEVICE, node.mtu, node.labels)

    def all_facts(self) -> list[NodeFacts]:
        return [self.facts(node) for node in self.nodes]

    def interfaces(self) -> dict[str, IPInterface]:
        """Return the address of every node."""
        return {node.name: node.interface for node in self.nodes}

    def nodes_of(self, worker: int) -> dict[str, ClusterNode]:
        return {node.name: node for node in self.nodes if node.worker == worker}


def choose(
    topology: Topology,
    before: ClusterSpec | None,
    *,
    api_port: int,
    workers: int,
    features: Collection[str] = (),
    node_folders: Collection[str] = (),
) -> ClusterSpec:
    """Make the topology's choices; what `before` chose for a node that stays is kept.

    Unwirable when what is kept and what the file says cannot be together.
    """
    old = {node.name: node for node in before.nodes} if before else {}
    count = before.workers if before else workers
    taken = {name: node.interface for name, node in old.items()}
    underlay = underlay_spec.choose(topology, before.underlay if before else None, taken, count)
    placed = _workers([node.name for node in topology.nodes], old, count)
    return ClusterSpec(
        name=topology.name,
        source=str(topology.source.resolve()),
        api_port=before.api_port if before else api_port,
        workers=count,
        underlay=underlay.spec,
        network=_network(topology, node_folders),
        nodes=tuple(
            ClusterNode(
                name=node.name,
                address=str(underlay.addresses[node.name]),
                worker=placed[node.name],
                mtu=underlay.mtus[node.name],
                labels=dict(node.labels),
                taints=tuple(_taint(t.key, t.value, t.effect) for t in node.taints),
                capacity=dict(node.capacity),
            )
            for node in topology.nodes
        ),
        features=before.features if before else tuple(sorted(features)),
        images=_images(topology),
    )


def catalogue_of(topology: Topology) -> Catalogue:
    """Return the images that manifests can name in a cluster of that topology."""
    return Catalogue.default(spec.image() for spec in _images(topology))


def _images(topology: Topology) -> tuple[ImageSpec, ...]:
    return tuple(
        ImageSpec(it.name, it.command, it.args, dict(it.env), it.cwd, str(it.root or ""), it.ports)
        for it in topology.images
    )


def read(path: Path) -> ClusterSpec | None:
    """The cluster's spec, or None when there is none; FabricError when it cannot be understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterSpec)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise FabricError(f"{path} is not a spec of this version ({error}); fabric down removes it") from None


def write(path: Path, spec: ClusterSpec) -> None:
    """Replace the file in one step: a reader sees the old spec or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(spec))
    fresh.replace(path)


def _network(topology: Topology, node_folders: Collection[str]) -> NetworkSpec:
    return NetworkSpec(
        plugin=topology.network.plugin,
        pod_cidrs=tuple(map(str, topology.pod_cidrs)),
        service_cidrs=tuple(map(str, topology.service_cidrs)),
        backend=topology.network.backend,
        mtu=topology.network.mtu,
        options=dict(topology.network.options),
        node_folders=tuple(node_folders),
    )


def _workers(names: list[str], old: Mapping[str, ClusterNode], count: int) -> dict[str, int]:
    """A node that stays keeps its worker; a new one goes to the worker with the fewest nodes."""
    placed = {name: old[name].worker for name in names if name in old}
    load = [sum(worker == index for worker in placed.values()) for index in range(count)]
    for name in names:
        if name not in placed:
            placed[name] = load.index(min(load))
            load[placed[name]] += 1
    return placed


def _taint(key: str, value: str, effect: str) -> dict[str, str]:
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def current(paths: ClusterPaths) -> ClusterSpec:
    """The spec now; a component is never started before there is one."""
    spec = read(paths.spec)
    if spec is None:
        raise RuntimeError(f"{paths.spec} is missing: the supervisor must not run without a spec")
    return spec


async def changes(paths: ClusterPaths) -> AsyncIterator[ClusterSpec]:
    """Yield the spec, and again whenever the file was replaced by another one."""
    seen: tuple[int, int] | None = None
    with following(paths.spec) as file:
        while True:
            try:
                stat = paths.spec.stat()
            except FileNotFoundError:
                stat = None
            if stat is not None and (stat.st_mtime_ns, stat.st_ino) != seen:
                seen = (stat.st_mtime_ns, stat.st_ino)
                yield current(paths)
            await file.wait()
