"""The pod cache holds the sandboxes and containers of one runtime process as last seen, for its kubelets.

It is read whole when the runtime says "look at all", and one sandbox at a time when something of it ended.
What a kubelet does goes through here too and is known at once: a read that was under way
meanwhile is not believed, it is made again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fabric.control.loop import Loop
from fabric.runtime.contract import ContainerSpec, ContainerStatus, Runtime, SandboxSpec, SandboxStatus

SANDBOX_READ_SECONDS = 0.05
"""Least time between two reads of all sandboxes, however many pods end together."""

T = TypeVar("T")


class PodCache:
    """Kubelets `listen` for their node and ask; one task of the process is in `run`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.ready = False
        """False while the runtime does not answer."""
        self._sandboxes: dict[str, SandboxStatus] = {}
        self._containers: dict[str, dict[str, ContainerStatus]] = {}
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._touched: dict[str, int] = {}
        self._count = itertools.count(1)
        self._suspects: set[str] = set()
        self._events = Loop("pod cache", self._follow)
        self._looks = Loop("sandboxes of the pod cache", self._look_at_suspects)
        self._known = asyncio.Event()

    async def run(self) -> None:
        """Follow the runtime for ever; while it is down, ask again with a delay that doubles to 5 s."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run())
            tasks.create_task(self._looks.run())

    async def known(self) -> None:
        """Wait until everything was read once."""
        await self._known.wait()

    def listen(self, node: str, notify: Callable[[str], None]) -> None:
        """Call `notify(sandbox id)` when something of a sandbox of this node changed by itself."""
        self._listeners[node] = notify

    def silence(self, node: str) -> None:
        """Stop telling about this node."""
        self._listeners.pop(node, None)

    def sandbox(self, id: str) -> SandboxStatus | None:
        return self._sandboxes.get(id)

    def sandboxes_of(self, node: str) -> Sequence[SandboxStatus]:
        return [sandbox for sandbox in self._sandboxes.values() if sandbox.node == node]

    def containers(self, sandbox: str) -> Sequence[ContainerStatus]:
        return tuple(self._containers.get(sandbox, {}).values())

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await self._touch(spec.id, self.runtime.start_sandbox(spec))
        self._sandboxes[spec.id] = status
        return status

    async def stop_sandbox(self, id: str) -> None:
        """End it with all its containers; one that is gone is no error."""
        await self._touch(id, self.runtime.stop_sandbox(id))
        self._drop(id)

    async def prepare_host_path(self, node: str, path: str, kind: str) -> None:
        """See the runtime's; it changes nothing that is listed here."""
        await self.runtime.prepare_host_path(node, path, kind)

    async def start_container(self, spec: ContainerSpec) -> ContainerStatus:
        status = await self._touch(spec.sandbox, self.runtime.start_container(spec))
        self._containers.setdefault(spec.sandbox, {})[spec.id] = status
        return status

    async def remove_container(self, sandbox: str, id: str) -> None:
        await self._touch(sandbox, self.runtime.remove_container(id))
        self._containers.get(sandbox, {}).pop(id, None)

    async def _touch(self, sandbox: str, call: Awaitable[T]) -> T:
        self._touched[sandbox] = next(self._count)
        try:
            return await call
        finally:
            self._touched[sandbox] = next(self._count)

    def _drop(self, id: str) -> None:
        self._sandboxes.pop(id, None)
        self._containers.pop(id, None)
        self._touched.pop(id, None)

    async def _follow(self) -> float:
        """Take in what the runtime tells until it ends; return when to ask again."""
        try:
            async for sandbox in self.runtime.events():
                await (self._read(sandbox) if sandbox else self._read_all())
                self._events.is_well()
        finally:
            self.ready = False
        return self._events.backoff.first_seconds

    async def _look_at_suspects(self) -> None:
        suspects, self._suspects = self._suspects, set()
        if not suspects:
            return
        try:
            await self._read_sandboxes(suspects)
        except BaseException:
            self._suspects |= suspects
            raise
        await asyncio.sleep(SANDBOX_READ_SECONDS)

    async def _read(self, sandbox: str) -> None:
        while sandbox in self._sandboxes:
            before = self._touched.get(sandbox)
            listed = await self.runtime.containers(sandbox)
            if self._touched.get(sandbox) == before and sandbox in self._sandboxes:
                self._replace(sandbox, listed)
                self._tell(sandbox)
                if not any(container.state == "running" for container in listed):
                    self._doubt(sandbox)
                return

    def _doubt(self, sandbox: str) -> None:
        """Read it soon: it may have ended, and nothing more will say so."""
        self._suspects.add(sandbox)
        self._looks.trigger()

    async def _read_sandboxes(self, suspects: set[str]) -> None:
        before = dict(self._touched)
        listed = {status.id: status for status in await self.runtime.sandboxes()}
        for id in suspects & self._sandboxes.keys():
            if self._touched.get(id) != before.get(id):
                self._doubt(id)
            elif id not in listed:
                node = self._sandboxes[id].node
                self._drop(id)
                self._tell_node(node, id)
            elif listed[id] != self._sandboxes[id]:
                self._sandboxes[id] = listed[id]
                self._tell(id)

    async def _read_all(self) -> None:
        before = dict(self._touched)
        sandboxes = {status.id: status for status in await self.runtime.sandboxes()}
        containers: dict[str, list[ContainerStatus]] = {id: [] for id in sandboxes}
        for container in await self.runtime.containers():
            containers.setdefault(container.sandbox, []).append(container)
        for id in sandboxes.keys() | self._sandboxes.keys():
            if self._touched.get(id) == before.get(id):
                self._take(id, sandboxes.get(id), containers.get(id, []))
            else:
                self._doubt(id)
        self.ready = True
        self._known.set()

    def _take(self, id: str, status: SandboxStatus | None, containers: Sequence[ContainerStatus]) -> None:
        if status is None:
            node = self._sandboxes[id].node
            self._drop(id)
            self._tell_node(node, id)
        elif status != self._sandboxes.get(id) or _by_id(containers) != self._containers.get(id, {}):
            self._sandboxes[id] = status
            self._replace(id, containers)
            self._tell(id)

    def _replace(self, sandbox: str, containers: Sequence[ContainerStatus]) -> None:
        self._containers[sandbox] = _by_id(containers)

    def _tell(self, sandbox: str) -> None:
        self._tell_node(self._sandboxes[sandbox].node, sandbox)

    def _tell_node(self, node: str, sandbox: str) -> None:
        notify = self._listeners.get(node)
        if notify is not None:
            notify(sandbox)


def _by_id(containers: Sequence[ContainerStatus]) -> dict[str, ContainerStatus]:
    return {container.id: container for container in containers}
