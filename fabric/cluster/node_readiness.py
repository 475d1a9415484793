"""A node is Ready once its kubelet, as it runs now, has said so.

When a worker is killed, what its kubelets said stands in the API until the next ones speak. A kubelet writes
its Node's status and then renews its Lease: one that was renewed after the worker began vouches for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fabric.api import kinds
from fabric.api.objects import Object, condition, condition_is, parse_timestamp
from fabric.cluster import component_records
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterNode, ClusterSpec
from fabric.control.client import Client
from fabric.kubelet.noderegistration import LEASES


@dataclass(frozen=True, slots=True)
class NodeReadiness:
    """The nodes as they were read at one time."""

    nodes: dict[str, Object]
    """Every Node there is, by name."""
    late: dict[str, str]
    """Why not, of each node of the file that is not Ready."""


async def look(client: Client, paths: ClusterPaths, spec: ClusterSpec) -> NodeReadiness:
    """Read Leases before Nodes: what a Lease vouches for is written by then."""
    began = component_records.began(paths)
    leases = {it["metadata"]["name"]: it for it in (await client.list(kinds.LEASE, LEASES)).items}
    nodes = {it["metadata"]["name"]: it for it in (await client.list(kinds.NODE)).items}
    why = {it.name: _why_not(it, nodes.get(it.name), leases.get(it.name, {}), began) for it in spec.nodes}
    return NodeReadiness(nodes, {name: what for name, what in why.items() if what})


def _why_not(entry: ClusterNode, node: Object | None, lease: Object, began: Mapping[str, datetime]) -> str:
    """Say why the node is not Ready; empty when it is."""
    worker = f"worker-{entry.worker}"
    if node is None:
        return "not registered yet"
    if not condition_is(node, "Ready"):
        return (condition(node, "Ready") or {}).get("message") or "no condition yet"
    if worker not in began:
        return f"process {worker}, which runs its kubelet, is dead"
    renewed = (lease.get("spec") or {}).get("renewTime")
    if not renewed or parse_timestamp(renewed) < began[worker]:
        return f"its kubelet has said nothing since process {worker} was started"
    return ""
