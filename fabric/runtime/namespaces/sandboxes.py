"""Pod sandboxes are pause processes: the end of one is the end of all that runs in its pod."""

from __future__ import annotations

from fabric.runtime.namespaces.pause import Pauses
from fabric.runtime.processes.context import kill, living
from fabric.runtime.processes.inventory import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
        self._pauses = Pauses(context.template, context.poll, context.mark)
        self._sandboxes: dict[str, Entry] = {}

    def adopt(self) -> None:
        for record in self._context.records.read(KIND):
            self._keep(Entry(record, self._context.adopt(record)))

    def start(self, spec: Spec) -> dict[str, Any]:
        """Return the status of the sandbox, new or known."""
        id = spec["id"]
        if id in self._sandboxes:
            return _status(self._sandboxes[id])
        node = self._nodes.process(spec["node"])
        record = {"id": id, "node": spec["node"]}
        process = self._pauses.start(spec, node)
        self._context.enlist(KIND, id, process, record)
        sandbox = Entry(record, process)
        self._keep(sandbox)
        return _status(sandbox)

    def stop(self, id: str, done: Callable[[], None]) -> None:
        """Kill it and forget it; `done` is called when all in it is dead."""
        sandbox = self._sandboxes.get(id)
        if sandbox is None:
            done()
            return
        kill(sandbox)

        def forget() -> None:
            if self._sandboxes.get(id) is sandbox:
                del self._sandboxes[id]
                self._context.records.remove(KIND, id)
            done()

        sandbox.when_ended(forget)

    def statuses(self) -> list[dict[str, Any]]:
        return [_status(sandbox) for sandbox in self._sandboxes.values()]

    def process(self, id: str) -> Process:
        return living(self._sandboxes.get(id), f"sandbox {id}")

    def _keep(self, sandbox: Entry) -> None:
        id = sandbox.record["id"]
        self._sandboxes[id] = sandbox

        def ended(_: int | None) -> None:
            sandbox.ended()
            self._context.tell(id)

        self._context.watch(sandbox, ended)


def _status(sandbox: Entry) -> dict[str, Any]:
    record = sandbox.record
    return {
        "id": record["id"],
        "node": record["node"],
        "pid": record["pid"],
        "alive": sandbox.process is not None,
    }
