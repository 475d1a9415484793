"""A runtime that remembers which process stands for which namespace, for the kernel to find.

`pids` is live: `node-1` and `pod:<uid>` appear when they are started and go when they end.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from fabric.errors import FabricError
from fabric.kernel.runtime import SandboxSpec, SandboxStatus
from fabric.kernel.runtime_client import RuntimeClient

LOOK_SECONDS = 0.05
RESYNC_SECONDS = 2.0
RETRY_SECONDS = 0.1


class NamedRuntime(RuntimeClient):
    """A RuntimeClient that keeps `pids`."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        self.pids: dict[str, int] = {}

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await super().start_sandbox(spec)
        self.pids[_name(status.id)] = status.pid
        return status

    async def stop_sandbox(self, id: str) -> None:
        await super().stop_sandbox(id)
        self.pids.pop(_name(id), None)

    async def powered_on(self, node: str) -> None:
        """Wait until the node's init runs."""
        while node not in self.pids:
            await self._look()
            await asyncio.sleep(0 if node in self.pids else LOOK_SECONDS)

    async def follow(self) -> None:
        """Keep `pids` true for ever: hosts are started, and die, without asking this process."""
        while True:
            await self._look()
            await asyncio.sleep(RESYNC_SECONDS)

    async def _look(self) -> None:
        with contextlib.suppress(FabricError):
            nodes = await self.nodes()
            sandboxes = {_name(each.id): each.pid for each in await self.sandboxes() if each.alive}
            alive = {**nodes, **sandboxes}
            for name in [name for name in self.pids if name not in alive]:
                del self.pids[name]
            self.pids.update(alive)


def _name(sandbox: str) -> str:
    return f"pod:{sandbox}"
