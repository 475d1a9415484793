"""The inventory: nodes, daemons, sandboxes and containers, each a record and perhaps a process."""

from __future__ import annotations

from fabric.runtime.tasks import Promise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fabric.runtime.containers.logs import LogFile, Output
    from fabric.runtime.processes.process import Process
    from fabric.runtime.processes.records import Record


class Entry:
    """An inventory entry: `record` outlives the runtime; `process` is None when it ended."""

    __slots__ = ("_ended", "process", "record")

    def __init__(self, record: Record, process: Process | None) -> None:
        self.record = record
        self.process = process
        self._ended: Promise | None = None

    def when_ended(self) -> Promise:
        """Return a promise that is done when the process has ended."""
        if self._ended is None:
            self._ended = Promise()
            if self.process is None:
                self._ended.resolve()
        return self._ended

    def ended(self) -> None:
        """Note that its process is gone."""
        self.process = None
        promise, self._ended = self._ended, None
        if promise is not None:
            promise.resolve()


class Container(Entry):
    """The inventory entry of a container."""

    __slots__ = ("exec_holder", "log", "outputs")

    def __init__(self, record: Record, process: Process | None) -> None:
        super().__init__(record, process)
        self.exec_holder: Entry | None = None
        """The process that holds a root for `exec`, where the container runs in the shared root."""
        self.log: LogFile | None = None
        self.outputs: list[Output] = []
