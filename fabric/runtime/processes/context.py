"""The context holds what all inventories share: records, event loop, root template, listeners."""

from __future__ import annotations

from fabric.runtime.polling import HANG_UP
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.namespaces.shared_root import SharedRoot
    from fabric.runtime.polling import Poll
    from fabric.runtime.processes.inventory import Entry
    from fabric.runtime.processes.pending import PendingProcess
    from fabric.runtime.processes.records import Record, Records

_REAPED_SECONDS_MAX = 3.0


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
            process.signal(9)
            process.end()
            raise

    def launch(self, kind: str, key: str, pending: PendingProcess, record: Record) -> None:
        """Write the record, then let the process become its program; Failure when it cannot."""
        record.update(pid=pending.process.pid, start=pending.process.start)
        try:
            self.records.write(kind, key, record)
        finally:
            pending.go()

    def watch(self, entry: Entry, ended: Callable[[int | None], None], *, exactly: bool = False) -> None:
        """Call `ended` once the entry's process is gone, with what `Process.end` says.

        `exactly` waits a moment for whoever has to reap it, for only then the kernel tells its exit code.
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


def discard(pending: PendingProcess) -> None:
    """Reap a child that could not become its program."""
    pending.process.signal(9)
    pending.process.end()


def kill(entry: Entry) -> None:
    if entry.process is not None:
        entry.process.signal(9)


def living(entry: Entry | None, what: str) -> Process:
    """Return the process of a entry; Failure when there is none."""
    if entry is None or entry.process is None:
        raise Failure(f"{what} does not run; start it first")
    return entry.process
