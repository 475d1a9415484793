"""What nodes, daemons, sandboxes and containers are made with: records, the poll, places, and who is told."""

from __future__ import annotations

from fabric.runtime.polling import HANG_UP
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.runtime.namespaces.cell import Cell
    from fabric.runtime.namespaces.root_template import Ground
    from fabric.runtime.polling import Poll
    from fabric.runtime.processes.birth import Newborn
    from fabric.runtime.processes.inventory import Thing
    from fabric.runtime.processes.records import Record, Records

_REAPED_SECONDS_MAX = 3.0


class Workshop:
    def __init__(
        self, records: Records, poll: Poll, ground: Ground, cell: Cell, tell: Callable[[str], None]
    ) -> None:
        self.records = records
        self.mark = records.open_mark()
        """What all have as standard input that have no FIFOs."""
        self.poll = poll
        self.ground = ground
        self.cell = cell
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

    def launch(self, kind: str, key: str, newborn: Newborn, record: Record) -> None:
        """Write the record, then let the process become its program; Failure when it cannot."""
        record.update(pid=newborn.process.pid, start=newborn.process.start)
        try:
            self.records.write(kind, key, record)
        finally:
            newborn.go()

    def watch(self, thing: Thing, ended: Callable[[int | None], None], *, exactly: bool = False) -> None:
        """Call `ended` once the thing's process is gone, with what `Process.end` says.

        `exactly` waits a moment for whoever has to reap it, for only then the kernel tells its exit code.
        """
        process = thing.process
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


def discard(newborn: Newborn) -> None:
    """Reap a child that could not become its program."""
    newborn.process.signal(9)
    newborn.process.end()


def kill(thing: Thing) -> None:
    if thing.process is not None:
        thing.process.signal(9)


def living(thing: Thing | None, what: str) -> Process:
    """Return the process of a thing; Failure when there is none."""
    if thing is None or thing.process is None:
        raise Failure(f"{what} does not run; start it first")
    return thing.process
