"""Pod sandboxes are pause processes: the end of one is the end of all that runs in its pod."""

from __future__ import annotations

from fabric.runtime.namespaces.pause import Pauses
from fabric.runtime.processes.context import kill, living
from fabric.runtime.processes.inventory import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.nodes import Nodes
    from fabric.runtime.processes.context import Context
    from fabric.runtime.processes.process import Process

    Spec = dict[str, Any]

KIND = "sandboxes"


class Sandboxes:
    """The sandboxes of one runtime, by the pod's UID."""

    def __init__(self, context: Context, nodes: Nodes) -> None:
        self._context = context
        self._nodes = nodes
        self._pauses = Pauses(context)
        self._sandboxes: dict[str, Entry] = {}

    def adopt(self) -> None:
        for record in self._context.records.read(KIND):
            self._keep(Entry(record, self._context.adopt(record)))

    async def start(self, spec: Spec) -> dict[str, Any]:
        """Return the status of the sandbox, new or known."""
        id = spec["id"]
        async with self._context.turns.of(id):
            known = self._sandboxes.get(id)
            if known is None:
                self._context.records.check(id)
                record = {"id": id, "node": spec["node"]}
                process = await self._pauses.start(spec, self._nodes.process(spec["node"]))
                self._context.enlist(KIND, id, process, record)
                known = Entry(record, process)
                self._keep(known)
            return _status(known)

    def kill(self, id: str) -> None:
        """Kill the pause process, and with it all that is in the sandbox."""
        entry = self._sandboxes.get(id)
        if entry is not None:
            kill(entry)

    async def stop(self, id: str) -> None:
        """Kill it and forget it; return when all in it is dead."""
        entry = self._sandboxes.get(id)
        if entry is None:
            return
        kill(entry)
        await entry.when_ended()
        if self._sandboxes.get(id) is entry:
            del self._sandboxes[id]
            self._context.forget(KIND, id)

    def statuses(self) -> list[dict[str, Any]]:
        return [_status(entry) for entry in self._sandboxes.values()]

    def process(self, id: str) -> Process:
        return living(self._sandboxes.get(id), f"sandbox {id}")

    def _keep(self, entry: Entry) -> None:
        id = entry.record["id"]
        self._sandboxes[id] = entry

        def ended(_: int | None) -> None:
            entry.ended()
            self._context.tell(id)

        self._context.watch(entry, ended)


def _status(entry: Entry) -> dict[str, Any]:
    record = entry.record
    return {
        "id": record["id"],
        "node": record["node"],
        "pid": record["pid"],
        "alive": entry.process is not None,
    }
