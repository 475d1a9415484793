"""Nodes are init processes: the kernel lets nothing in a node's PID namespace outlive its init."""

from __future__ import annotations

import os

from fabric.runtime.namespaces import host_paths
from fabric.runtime.namespaces.node_init import PAUSE, node
from fabric.runtime.processes import program
from fabric.runtime.processes.context import kill, living
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.inventory import Entry
from fabric.runtime.processes.pending import fork_pending
from fabric.runtime.wire import node_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fabric.runtime.processes.context import Context
    from fabric.runtime.processes.process import Process

    Spec = dict[str, Any]

KIND = "nodes"


class Nodes:
    """The nodes of one runtime, by name."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes: dict[str, Entry] = {}
        self.on_end: list[Callable[[str], None]] = []
        """To be called with the name of a node that has ended."""

    def adopt(self) -> None:
        for record in self._context.records.read(KIND):
            process = self._context.adopt(record)
            if process is None:
                self._context.forget(KIND, record["name"])
            else:
                self._keep(Entry(record, process))

    async def start(self, spec: Spec) -> int:
        """Return the pid of the node's init, new or living."""
        name = spec["name"]
        async with self._context.turns.of(f"node {name}"):
            known = self._nodes.get(name)
            if known is not None and known.process is not None:
                return known.process.pid
            entry = await self._launch(name, spec)
            self._keep(entry)
            self._context.tell(node_event(name))
            assert entry.process is not None
            return entry.process.pid

    async def _launch(self, name: str, spec: Spec) -> Entry:
        records = self._context.records
        records.check(name)
        _check_pause()
        pending = fork_pending(node(spec, self._context.template), self._context.poll)
        process = pending.process
        record = {"name": name, "pid": process.pid, "start": process.start}
        try:
            await pending.set_up()
            records.write(KIND, name, record)
            await pending.go()
        except (Failure, OSError):
            pending.close()
            self._context.discard(process)
            self._context.forget(KIND, name)
            raise
        return Entry(record, process)

    async def stop(self, name: str) -> None:
        """Power off; return when all of it is dead."""
        async with self._context.turns.of(f"node {name}"):
            entry = self._nodes.get(name)
            if entry is not None:
                kill(entry)
                await entry.when_ended()

    def prepare_host_path(self, name: str, path: str, kind: str) -> None:
        """Check or make a path for a pod's hostPath; Failure says why it cannot be had."""
        host_paths.prepare(self._context.template, self.process(name), path, kind)

    def pids(self) -> dict[str, int]:
        return {name: entry.record["pid"] for name, entry in self._nodes.items()}

    def is_living(self, name: str) -> bool:
        return name in self._nodes

    def process(self, name: str) -> Process:
        return living(self._nodes.get(name), f"node {name}")

    def _keep(self, entry: Entry) -> None:
        name = entry.record["name"]
        self._nodes[name] = entry

        def ended(_: int | None) -> None:
            if self._nodes.get(name) is entry:
                del self._nodes[name]
                self._context.forget(KIND, name)
                for call in self.on_end:
                    call(name)
            entry.ended()
            self._context.tell(node_event(name))

        self._context.watch(entry, ended)


def _check_pause() -> None:
    if not os.path.isfile(program.find(PAUSE[0], {})):
        raise Failure(f'the host has no program "{PAUSE[0]}"; install it (Debian: apt-get install catatonit)')
