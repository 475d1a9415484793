"""The network namespaces of a running cluster: found by asking its runtimes, looked into with iproute2."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import all_connections
from support.clusters import Cluster
from support.namespaces import run_inside


@dataclass(frozen=True, slots=True)
class Namespace:
    """The namespaces of one process: a node's init, or a pod's pause program."""

    name: str
    pid: int

    def ask(self, *argv: str) -> Any:
        """What `ip` or `bridge` answers there as JSON."""
        program, *rest = argv
        return json.loads(run_inside(self.pid, program, "-j", *rest) or "[]")

    def device(self, name: str) -> dict[str, Any]:
        """`ip -d address show` of one device."""
        (found,) = self.ask("ip", "-d", "address", "show", "dev", name)
        return dict(found)

    def mac(self, device: str) -> str:
        return str(self.device(device)["address"])

    def file(self, path: str) -> Path:
        """A file as processes of this mount namespace see it."""
        return Path(f"/proc/{self.pid}/root", path.lstrip("/"))


def namespaces_of(cluster: Cluster) -> dict[str, Namespace]:
    """Every node, `switch`, and every pod, by name. Not to be called where an event loop runs."""
    names = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in cluster.get("/api/v1/pods")["items"]}
    found = asyncio.run(_pids(cluster))
    return {names.get(key, key): Namespace(names.get(key, key), pid) for key, pid in found.items()}


async def _pids(cluster: Cluster) -> dict[str, int]:
    workers = len(list(cluster.run_folder.glob("runtime-*.sock")))
    found: dict[str, int] = {}
    async with all_connections(ClusterPaths(cluster.name), workers) as runtimes:
        for runtime in runtimes:
            found |= await runtime.nodes()
            found |= {sandbox.id: sandbox.pid for sandbox in await runtime.sandboxes() if sandbox.alive}
    return found
