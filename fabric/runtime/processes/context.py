"""The context holds what all inventories share: records, event loop, root template, listeners."""

from __future__ import annotations

from fabric.runtime.polling import HANG_UP
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process
from fabric.runtime.tasks import Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.namespaces.shared_root import SharedRoot
    from fabric.runtime.polling import Poll
    from fabric.runtime.processes.inventory import Entry
    from fabric.runtime.processes.records import Record, Records

_REAPED_SECONDS_MAX = 3.0
_SAVE_SECONDS = 1.0
"""Between two tries to write a record that the disk does not take."""


class Context:
    """The shared parts of one runtime process."""

    def __init__(
        self,
        records: Records,
        poll: Poll,
        template: RootTemplate,
        shared_root: SharedRoot,
        tell: Callable[[str], None],
    ) -> None:
        self.records = records
        self.mark = records.open_mark()
        """The standard input of every process that has no FIFOs."""
        self.poll = poll
        self.template = template
        self.shared_root = shared_root
        self.tell = tell
        """To be called with a sandbox id when something of it ended."""
        self.turns = Turns()
        """One request at a time works on a node, a daemon, or a sandbox and its containers."""
        self._unsaved: dict[tuple[str, str], Record] = {}

    def adopt(self, record: Record) -> Process | None:
        """Return the process of a record, or None when it has ended."""
        return Process.adopt(record["pid"], record["start"])

    def enlist(
        self, kind: str, key: str, process: Process, record: Record, part: Record | None = None
    ) -> None:
        """Write the record of a process that runs, or end it; `part` of the record is to name it, or all."""
        (record if part is None else part).update(pid=process.pid, start=process.start)
        try:
            self.records.write(kind, key, record)
        except OSError:
            self.discard(process)
            raise

    def save(self, kind: str, key: str, record: Record) -> None:
        """Write what has happened; what the disk does not take now is tried again until it does."""
        try:
            self.records.write(kind, key, record)
        except OSError:
            if not self._unsaved:
                self.poll.later(_SAVE_SECONDS, self._save_again)
            self._unsaved[kind, key] = record

    def forget(self, kind: str, key: str) -> None:
        """Remove a record."""
        self._unsaved.pop((kind, key), None)
        self.records.remove(kind, key)

    def discard(self, process: Process) -> None:
        """Kill a process that nobody will ask for, and reap it when it is dead."""

        def reap(_: int) -> None:
            self.poll.forget(process.fd)
            process.end()

        process.signal(9)
        try:
            self.poll.watch(process.fd, reap)
        except OSError:
            process.end()

    def watch(self, entry: Entry, ended: Callable[[int | None], None], *, exactly: bool = False) -> None:
        """Call `ended` once the entry's process is gone, with what `Process.end` says.

        `exactly` waits a moment for the parent that has to reap it, for only then the kernel tells its exit
        code.
        """
        process = entry.process
        if process is None:
            return

        def finish() -> None:
            if process.fd >= 0:
                self.poll.forget(process.fd)
                ended(process.end())

        def ready(events: int) -> None:
            if exactly and not events & HANG_UP and process.is_anothers_zombie():
                self.poll.change(process.fd, HANG_UP)
                self.poll.later(_REAPED_SECONDS_MAX, finish)
            else:
                finish()

        self.poll.watch(process.fd, ready)

    def _save_again(self) -> None:
        unsaved, self._unsaved = self._unsaved, {}
        for (kind, key), record in unsaved.items():
            self.save(kind, key, record)


def kill(entry: Entry) -> None:
    if entry.process is not None:
        entry.process.signal(9)


def living(entry: Entry | None, what: str) -> Process:
    """Return the process of an entry; Failure when there is none."""
    if entry is None or entry.process is None:
        raise Failure(f"{what} does not run; start it first")
    return entry.process
