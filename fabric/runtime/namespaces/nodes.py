"""Nodes are init processes: the kernel lets nothing in a node's PID namespace outlive its init."""

from __future__ import annotations

import os

from fabric.runtime.namespaces.node_init import NAMESPACES, PAUSE, node
from fabric.runtime.processes import program
from fabric.runtime.processes.context import discard, kill, living
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.inventory import Entry
from fabric.runtime.processes.pending import bear

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
                self._context.records.remove(KIND, record["name"])
            else:
                self._keep(Entry(record, process))

    def start(self, spec: Spec) -> int:
        """Return the pid of the node's init, new or living."""
        name = spec["name"]
        known = self._nodes.get(name)
        if known is not None and known.process is not None:
            return known.process.pid
        if not os.path.isfile(program.find(PAUSE[0], {})):
            raise Failure(
                f'the host has no program "{PAUSE[0]}"; install it (Debian: apt-get install catatonit)'
            )
        pending = bear(node(spec, self._context.template), NAMESPACES)
        record = {"name": name}
        try:
            self._context.launch(KIND, name, pending, record)
        except (Failure, OSError):
            discard(pending)
            self._context.records.remove(KIND, name)
            raise
        self._keep(Entry(record, pending.process))
        return pending.process.pid

    def stop(self, name: str, done: Callable[[], None]) -> None:
        """Power off; `done` is called when all of it is dead."""
        node = self._nodes.get(name)
        if node is None:
            done()
            return
        kill(node)
        node.when_ended(done)

    def pids(self) -> dict[str, int]:
        return {name: node.record["pid"] for name, node in self._nodes.items()}

    def is_living(self, name: str) -> bool:
        return name in self._nodes

    def process(self, name: str) -> Process:
        return living(self._nodes.get(name), f"node {name}")

    def _keep(self, node: Entry) -> None:
        name = node.record["name"]
        self._nodes[name] = node

        def ended(_: int | None) -> None:
            if self._nodes.get(name) is node:
                del self._nodes[name]
                self._context.records.remove(KIND, name)
                for call in self.on_end:
                    call(name)
            node.ended()

        self._context.watch(node, ended)
