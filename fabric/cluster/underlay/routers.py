"""The BGP daemons of the underlay: one BIRD on every router, kept by the runtime that started the router.

Level-triggered: what each daemon shall read follows from the spec, which daemons run the runtimes say. One
that runs is told of a new configuration and keeps its sessions; one that ended was started again by its
runtime with the file as it stands, and keeps the kernel's routes until its neighbours have sent theirs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from fabric.bird.config import Config
from fabric.bird.daemon import Daemon
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import NodeDaemons
from fabric.errors import FabricError
from fabric.plugin.contract import Program
from fabric.runtime.contract import Runtime

BIRD = "bird"
INSIDE = Path("/run/bird")
"""Where the daemon's files are on the router, private as all of its /run."""
BIRD_LOG = INSIDE / "bird.log"
AT_ONCE = 8

_log = logging.getLogger(__name__)


def files(paths: ClusterPaths, router: str) -> Daemon:
    """Return the files of a router's daemon."""
    return Daemon(paths.node(router) / str(INSIDE).lstrip("/"), seen_as=INSIDE)


class Routers:
    """Keeps one BIRD per router."""

    def __init__(self, paths: ClusterPaths, runtimes: Sequence[Runtime]) -> None:
        self._paths = paths
        self._runtimes = runtimes
        self._told: dict[str, Config] = {}
        """What each daemon surely runs; empty at first, so that each is told once."""

    async def reconcile(self, configs: Mapping[str, Config], workers: Mapping[str, int]) -> bool:
        """Start and tell every daemon; return whether each was told, or is to be told once it runs.

        A FabricError of one holds up no other, and is raised at the end.
        """
        if not configs:
            return True
        turns = asyncio.Semaphore(AT_ONCE)
        pids = {
            status.node: status.pid
            for runtime in self._runtimes
            for status in await runtime.daemons()
            if status.name == BIRD
        }

        async def see_to(router: str, config: Config) -> None:
            async with turns:
                await self._see_to(router, config, self._runtimes[workers[router]], pids.get(router))

        work = (see_to(router, config) for router, config in configs.items())
        refused = [it for it in await asyncio.gather(*work, return_exceptions=True) if it is not None]
        self._told = {router: it for router, it in self._told.items() if router in configs}
        for error in sorted(refused, key=lambda it: isinstance(it, FabricError)):
            raise error
        return self._told.keys() == configs.keys()

    async def _see_to(self, router: str, config: Config, runtime: Runtime, pid: int | None) -> None:
        """`pid`: None where no daemon is kept, 0 where one waits to be started again."""
        daemon = files(self._paths, router)
        if pid is None:
            daemon.folder.mkdir(parents=True, exist_ok=True)
            daemon.write(config)
            daemons = NodeDaemons(runtime, router, self._paths.node(router))
            pid = await daemons.keep(Program(BIRD, daemon.argv, daemon.restart_argv))
            _log.info("bird on %s has pid %d", router, pid)
        elif pid and self._told.get(router) != config:
            await daemon.reconfigure(daemon.client(router), config)
        elif not pid:
            # It may have read the old file before this one takes its place: so it is told once it runs.
            self._told.pop(router, None)
            daemon.write(config)
            return
        self._told[router] = config
