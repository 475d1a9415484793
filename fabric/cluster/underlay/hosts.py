"""Hosts are powered on and off: one init process for each node of the spec, each switch and each router.

Level-triggered: the spec says which hosts there shall be, the runtimes say which there are. A host whose
init was killed is started anew, with empty namespaces; whoever owns state in them puts it back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fabric.cluster.paths import ClusterPaths, folders_in
from fabric.cluster.removal import remove
from fabric.cluster.spec import ClusterSpec
from fabric.runtime.contract import HostSpec, Mount, Runtime
from fabric.topology.underlay import CONTROL_PLANE

AT_ONCE = 8
_log = logging.getLogger(__name__)

_OF_HOSTS = ("run",)
_OF_NODES = ("var/lib/kubelet", "var/log/pods", "var/lib/cni", "etc/cni/net.d")
"""What each host has of its own on disk, below `ClusterPaths.node`, and what a node has beside it.

The network plugin's folders come with the spec.
"""


class Hosts:
    """The init processes of hosts, one each; `pids` is the live mapping that a kernel works with."""

    def __init__(self, paths: ClusterPaths, runtimes: Sequence[Runtime]) -> None:
        self._paths = paths
        self._runtimes = runtimes
        self.pids: dict[str, int] = {}

    async def reconcile(self, spec: ClusterSpec) -> frozenset[str]:
        """Start what is missing, stop what is too many; return the names whose process is a new one."""
        wanted = wanted_hosts(spec)
        running = [dict(await runtime.nodes()) for runtime in self._runtimes]
        for runtime, names in zip(self._runtimes, running, strict=True):
            for name in [n for n in names if wanted.get(n) is not runtime_index(self._runtimes, runtime)]:
                await runtime.stop_node(name)
                del names[name]
        alive = {name: pid for names in running for name, pid in names.items()}
        await self._start(spec, {n: worker for n, worker in wanted.items() if n not in alive}, alive)
        fresh = frozenset(name for name, pid in alive.items() if self.pids.get(name) != pid)
        self.pids.clear()
        self.pids.update(alive)
        await self._remove_disks(wanted)
        return fresh

    async def _remove_disks(self, wanted: Iterable[str]) -> None:
        """A host that is no more leaves no disk: neither logs, nor addresses reserved for its pods."""
        for name in set(folders_in(self._paths.nodes)) - set(wanted):
            await asyncio.to_thread(_remove_disk, self._paths.node(name))

    async def _start(self, spec: ClusterSpec, missing: Mapping[str, int], alive: dict[str, int]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        nodes = {node.name for node in spec.nodes}
        of_nodes = (*_OF_HOSTS, *_OF_NODES, *spec.network.node_folders)

        async def start(name: str, worker: int) -> None:
            folders = of_nodes if name in nodes else _OF_HOSTS
            async with turns:
                alive[name] = await self._runtimes[worker].start_node(self._host(name, folders))

        async with asyncio.TaskGroup() as starting:
            for name, worker in missing.items():
                starting.create_task(start(name, worker))
        if missing:
            _log.info("started %s", ", ".join(sorted(missing)))

    def _host(self, name: str, folders: Iterable[str]) -> HostSpec:
        root = self._paths.node(name)
        return HostSpec(name, mounts=tuple(_private_mount(root, folder) for folder in folders))


def wanted_hosts(spec: ClusterSpec) -> dict[str, int]:
    """Every host, switches and routers first, with the number of the runtime that starts it."""
    return spec.underlay.workers | {CONTROL_PLANE: 0} | {node.name: node.worker for node in spec.nodes}


def runtime_index(runtimes: Sequence[Runtime], runtime: Runtime) -> int:
    return next(index for index, other in enumerate(runtimes) if other is runtime)


def _remove_disk(folder: Path) -> None:
    with suppress(OSError):
        remove(folder)


def _private_mount(root: Path, folder: str) -> Mount:
    source = root / folder
    source.mkdir(parents=True, exist_ok=True)
    return Mount(f"/{folder}", source)
