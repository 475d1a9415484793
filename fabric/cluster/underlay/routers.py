"""The BGP daemons of the underlay: a BIRD on every router, kept by the runtime that started the router."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fabric.bird.config import Config
from fabric.bird.daemon import Daemon
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import NodeDaemons
from fabric.plugin.bird_keeper import BirdKeeper
from fabric.runtime.contract import Runtime

INSIDE = Path("/run/bird")
"""Where the daemon's files are on the router, private as all of its /run."""
BIRD_LOG = INSIDE / "bird.log"


class Routers:
    """The keepers of the routers' daemons, each with its task; a daemon ends with its router."""

    def __init__(self, paths: ClusterPaths, runtimes: Sequence[Runtime]) -> None:
        self._paths = paths
        self._runtimes = runtimes
        self._keepers: dict[tuple[str, int], tuple[BirdKeeper, asyncio.Task[None]]] = {}
        """By the router and the worker that has it."""

    def want(
        self, configs: Mapping[str, Config], workers: Mapping[str, int], tasks: asyncio.TaskGroup
    ) -> None:
        """Have a daemon on each of these routers with its configuration; none of them waits for another."""
        wanted = {(router, workers[router]): config for router, config in configs.items()}
        for key in self._keepers.keys() - wanted.keys():
            self._keepers.pop(key)[1].cancel()
        for key, config in wanted.items():
            if key not in self._keepers:
                keeper = self._keeper(*key)
                self._keepers[key] = (keeper, tasks.create_task(keeper.run(), name=f"bird of {key[0]}"))
            self._keepers[key][0].want(config)

    def powered_on(self, routers: Iterable[str]) -> None:
        """Start the daemons of these: their processes are new ones."""
        fresh = frozenset(routers)
        for (router, _), (keeper, _) in self._keepers.items():
            if router in fresh:
                keeper.trigger()

    def _keeper(self, router: str, worker: int) -> BirdKeeper:
        root = self._paths.node(router)
        daemon = Daemon(root / INSIDE.relative_to("/"), seen_as=INSIDE)
        daemons = NodeDaemons(self._runtimes[worker], router, root)
        return BirdKeeper(daemon, daemons, router, first_quiet_seconds=0.0)
