"""The inventory: nodes, daemons, sandboxes and containers, each a record and perhaps a process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.containers.logs import LogFile, Output
    from fabric.runtime.processes.process import Process
    from fabric.runtime.processes.records import Record


class Entry:
    """An inventory entry: `record` outlives the runtime; `process` is None when it ended."""

    __slots__ = ("process", "record", "waiting")

    def __init__(self, record: Record, process: Process | None) -> None:
        self.record = record
        self.process = process
        self.waiting: list[Callable[[], None]] = []
        """To be called when the process has ended."""

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call at once when it has ended, else then."""
        if self.process is None:
            call()
        else:
            self.waiting.append(call)

    def ended(self) -> None:
        """Note that its process is gone."""
        self.process = None
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


class Container(Entry):
    """The inventory entry of a container."""

    __slots__ = ("exec_holder", "log", "outputs")

    def __init__(self, record: Record, process: Process | None) -> None:
        super().__init__(record, process)
        self.exec_holder: Entry | None = None
        """The process that holds a root for `exec`, where the container runs in the shared root."""
        self.log: LogFile | None = None
        self.outputs: list[Output] = []
