"""What a cluster shall be, as one file that every component reads: written by `up`, whole, and atomically.

It is the topology with its choices made: each node has its address and its worker, and keeps them
when the file changes around it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from fabric.errors import FabricError
from fabric.netstate.objects import IPInterface
from fabric.plugin.contract import NetworkConfig, NodeFacts
from fabric.topology import underlay
from fabric.topology.model import Topology, Underlay


class NodeSpec(msgspec.Struct, frozen=True):
    """One node of the running cluster."""

    name: str
    address: str
    worker: int
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

    def config(self) -> NetworkConfig:
        return NetworkConfig(
            pod_cidrs=tuple(map(ipaddress.ip_network, self.pod_cidrs)),
            service_cidrs=tuple(map(ipaddress.ip_network, self.service_cidrs)),
            backend=self.backend,
            mtu=self.mtu,
            options=self.options,
        )


class ClusterSpec(msgspec.Struct, frozen=True):
    """The whole cluster."""

    name: str
    source: str
    api_port: int
    workers: int
    underlay_kind: str
    underlay_subnet: str
    underlay_mtu: int
    network: NetworkSpec
    nodes: tuple[NodeSpec, ...]
    features: tuple[str, ...] = ()
    """Optional features of this machine's kernel, found out when the cluster was made."""

    @property
    def underlay(self) -> Underlay:
        return Underlay(self.underlay_kind, ipaddress.ip_network(self.underlay_subnet), self.underlay_mtu)

    def facts(self, node: NodeSpec) -> NodeFacts:
        return NodeFacts(node.name, (node.interface,), underlay.DEVICE, self.underlay_mtu, node.labels)

    def all_facts(self) -> list[NodeFacts]:
        return [self.facts(node) for node in self.nodes]

    def nodes_of(self, worker: int) -> dict[str, NodeSpec]:
        return {node.name: node for node in self.nodes if node.worker == worker}


def choose(topology: Topology, before: ClusterSpec | None, *, api_port: int, workers: int) -> ClusterSpec:
    """Make the topology's choices; what `before` chose for a node that stays is kept."""
    old = {node.name: node for node in before.nodes} if before else {}
    names = [node.name for node in topology.nodes]
    addresses = underlay.assign(
        topology.underlay.subnet, names, {name: node.interface for name, node in old.items()}
    )
    count = before.workers if before else workers
    placed = _workers(names, old, count)
    return ClusterSpec(
        name=topology.name,
        source=str(topology.source.resolve()),
        api_port=before.api_port if before else api_port,
        workers=count,
        underlay_kind=topology.underlay.kind,
        underlay_subnet=str(topology.underlay.subnet),
        underlay_mtu=topology.underlay.mtu,
        network=_network(topology),
        nodes=tuple(
            NodeSpec(
                name=node.name,
                address=str(addresses[node.name]),
                worker=placed[node.name],
                labels=dict(node.labels),
                taints=tuple(_taint(t.key, t.value, t.effect) for t in node.taints),
                capacity=dict(node.capacity),
            )
            for node in topology.nodes
        ),
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


def _network(topology: Topology) -> NetworkSpec:
    return NetworkSpec(
        plugin=topology.network.plugin,
        pod_cidrs=tuple(map(str, topology.pod_cidrs)),
        service_cidrs=tuple(map(str, topology.service_cidrs)),
        backend=topology.network.backend,
        mtu=topology.network.mtu,
        options=dict(topology.network.options),
    )


def _workers(names: list[str], old: Mapping[str, NodeSpec], count: int) -> dict[str, int]:
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
