"""The status of a cluster, from its files and its cgroup alone (`glance`), or by its API server (`look`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fabric.api import kinds
from fabric.api.objects import Object, condition
from fabric.cluster import component_records, lookup
from fabric.cluster import spec as specs
from fabric.cluster.cgroup import ClusterCgroup, mount_point
from fabric.cluster.lookup import NoApiServer
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.pod_readiness import is_up, some, why_not_up
from fabric.errors import FabricError
from fabric.kubelet.noderegistration import DETAILS
from fabric.plugin import registry as plugins


@dataclass(frozen=True, slots=True)
class Glance:
    """A cluster as `fabric list` shows it."""

    name: str
    status: str
    """running; unsupervised (its supervisor is dead, `fabric up` heals it); stopped (only files are left)."""
    nodes: int
    plugin: str
    processes: int
    source: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ProcessView:
    name: str
    pid: int
    restarts: int


@dataclass(frozen=True, slots=True)
class NodeView:
    name: str
    ready: str
    address: str
    pods: int
    network: str
    details: dict[str, str]


@dataclass(frozen=True, slots=True)
class Overview:
    """A cluster as `fabric status` shows it."""

    glance: Glance
    processes: list[ProcessView]
    nodes: list[NodeView]
    pods: int
    pods_running: int
    troubles: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def glance(name: str) -> Glance:
    """Look at the cgroup and the spec; works for a cluster in any state, also for ruins."""
    paths = ClusterPaths(name)
    try:
        spec = specs.read(paths.spec)
    except (FabricError, PermissionError):
        spec = None
    processes = len(ClusterCgroup(name).processes()) if mount_point() else 0
    is_ours = os.access(paths.pids, os.R_OK | os.X_OK)
    supervised = bool(component_records.supervisor_pid(paths)) if is_ours else processes > 0
    status = "stopped" if not processes else "running" if supervised else "unsupervised"
    return Glance(
        name,
        status,
        len(spec.nodes) if spec else 0,
        spec.network.plugin if spec else "",
        processes,
        spec.source if spec else "",
    )


def look(paths: ClusterPaths) -> Overview:
    """Ask the API server too; one that does not answer is a trouble, not an error."""
    first = glance(paths.cluster)
    records = component_records.read_all(paths)
    processes = [ProcessView(name, it.pid, it.restarts) for name, it in records.items()]
    dead = {name: it.trouble and f": {it.trouble}" for name, it in records.items() if not it.pid}
    troubles = [f"process {name} is dead{why}" for name, why in dead.items()]
    troubles += paths.full_disks()
    nodes: list[Object] = []
    pods: list[Object] = []
    try:
        nodes, pods = lookup.every(paths, kinds.NODE), lookup.every(paths, kinds.POD)
        troubles += _idle(paths, first.plugin)
    except NoApiServer as silence:
        troubles.append(f"the API server does not answer: {silence.why}")
    except FabricError as error:
        troubles.append(str(error))
    views = [_node_view(node, pods) for node in nodes]
    silent = {v.name for v in views if v.ready == "Unknown"}
    troubles += [f"node {v.name} is not Ready{_unknown(v, pods)}" for v in views if v.ready != "True"]
    troubles += [f"node {v.name}: {it}" for v in views if (it := v.details.get("trouble"))]
    troubles += [f"node {n['metadata']['name']}: {it}" for n in nodes if (it := _no_network(n))]
    heard = [pod for pod in pods if pod["spec"].get("nodeName") not in silent]
    troubles += [f"pod {p['metadata']['name']}: {why_not_up(p)}" for p in heard if not is_up(p)]
    running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in heard)
    return Overview(first, processes, views, len(pods), running, troubles)


def _idle(paths: ClusterPaths, plugin: str) -> list[str]:
    """Tell of objects that are there and that nothing carries out."""
    idle = plugins.idle_kinds(plugin) if plugin else {}
    counted = ((len(lookup.every(paths, kind)), kind, why) for kind, why in idle.items())
    return [f"{count} {kind.plural}: {why}" for count, kind, why in counted if count]


def _unknown(node: NodeView, pods: Sequence[Object]) -> str:
    """Say what is not known of a node that does not answer: what the API has of its pods is from before."""
    if node.ready != "Unknown":
        return ""
    names = [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node.name]
    return ": its kubelet does not answer" + (f"; {some('not known are its pods', names)}" if names else "")


def told_once(messages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what each node says and the others do not, and what all of them say after that, once."""
    parts = [message.split("; ") for message in messages]
    shared = [it for it in parts[0][1:] if all(it in other for other in parts)] if len(parts) > 1 else []
    return ["; ".join(it for it in said if it not in shared) for said in parts], shared


def _no_network(node: Object) -> str:
    """Return the network agent's message while a node's network is not ready."""
    found = condition(node, "NetworkUnavailable") or {}
    return "" if found.get("status") == "False" else str(found.get("message") or "no word of the network")


def _node_view(node: Object, pods: list[Object]) -> NodeView:
    name = node["metadata"]["name"]
    network = condition(node, "NetworkUnavailable") or {}
    addresses = (node.get("status") or {}).get("addresses") or []
    annotations = node["metadata"].get("annotations") or {}
    ready = (condition(node, "Ready") or {}).get("status", "Unknown")
    before = "does not answer; before: " if ready == "Unknown" and network else ""
    return NodeView(
        name=name,
        ready=ready,
        address=next((a["address"] for a in addresses if a["type"] == "InternalIP"), ""),
        pods=sum(pod["spec"].get("nodeName") == name for pod in pods),
        network=f"{before}{network.get('message') or network.get('reason') or 'unknown'}",
        details={
            key.removeprefix(DETAILS): value for key, value in annotations.items() if key.startswith(DETAILS)
        },
    )
