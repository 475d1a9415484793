"""Which nodes of a worker are powered on, as its runtime says: names and pids, kept true."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import MutableMapping

from fabric.errors import FabricError
from fabric.kernel.runtime import Runtime

LOOK_SECONDS, WAITING_SECONDS = 1.0, 0.03
_POD = "pod:"


class Power:
    """Keeps the nodes in `pids`, beside the pods that somebody else keeps there."""

    def __init__(self, runtime: Runtime, pids: MutableMapping[str, int]) -> None:
        self._runtime = runtime
        self._pids = pids
        self._awaited: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def on(self, node: str) -> None:
        """Wait until the node's init runs."""
        if node not in self._pids:
            await self._awaited[node].wait()

    async def run(self) -> None:
        """Look for ever, more often while somebody waits: hosts start and die without asking this process."""
        while True:
            with contextlib.suppress(FabricError):
                self._take(dict(await self._runtime.nodes()))
            await asyncio.sleep(WAITING_SECONDS if self._awaited else LOOK_SECONDS)

    def _take(self, nodes: dict[str, int]) -> None:
        for name in [name for name in self._pids if not name.startswith(_POD) and name not in nodes]:
            del self._pids[name]
        self._pids.update(nodes)
        for name in self._awaited.keys() & nodes.keys():
            self._awaited.pop(name).set()
