"""A runtime client that notes which process stands for which namespace, for the kernel floor to enter.

`pids` is live and true: `node-1` from when its init runs, `pod:<uid>` from when its sandbox is started.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from fabric.errors import FabricError
from fabric.netstate.port import POD_PREFIX, pod_namespace
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import SandboxSpec, SandboxStatus

LOOK_SECONDS, WAITING_SECONDS = 1.0, 0.03


class NamedRuntime(RuntimeClient):
    """A RuntimeClient with `pids`; `run` and `follow` must be running."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        self.pids: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        """The init that each node had last, also while it is off."""
        self._awaited: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._wake = asyncio.Event()
        self._renewed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await super().start_sandbox(spec)
        self.pids[pod_namespace(status.id)] = status.pid
        return status

    async def stop_sandbox(self, id: str) -> None:
        await super().stop_sandbox(id)
        self.pids.pop(pod_namespace(id), None)

    async def sandboxes(self) -> Sequence[SandboxStatus]:
        found = await super().sandboxes()
        self.pids.update({pod_namespace(sandbox.id): sandbox.pid for sandbox in found if sandbox.alive})
        return found

    async def nodes(self) -> Mapping[str, int]:
        found = await super().nodes()
        for name in [name for name in self.pids if not name.startswith(POD_PREFIX) and name not in found]:
            del self.pids[name]
        for name in [name for name, pid in found.items() if self._seen.get(name, pid) != pid]:
            self._renewed.pop(name, asyncio.Event()).set()
        self._seen.update(found)
        self.pids.update(found)
        for name in self._awaited.keys() & found.keys():
            self._awaited.pop(name).set()
        return found

    async def powered_on(self, node: str) -> None:
        """Wait until the node's init runs."""
        if node not in self.pids:
            self._wake.set()
            await self._awaited[node].wait()

    async def powered_on_again(self, node: str) -> None:
        """Wait until the node's init is another one than it was."""
        await self._renewed[node].wait()

    async def follow(self) -> None:
        """Ask for the nodes for ever, more often while somebody waits: others start and kill them."""
        while True:
            with contextlib.suppress(FabricError):
                await self.nodes()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAITING_SECONDS if self._awaited else LOOK_SECONDS):
                    await self._wake.wait()
