"""Daemons are programs that a node keeps running. One that ends is started again, until its node ends.

It runs in all of its node's namespaces and appends to a log itself, so nothing of it hangs on the runtime. A
delay of 0.1 s comes before each new start, doubling to 5 s; a run of 10 s makes it short again. What is to
follow a death that was asked for is kept in memory only: the client hears of the runtime's end, and
asks again.
"""

from __future__ import annotations

import os
import signal
import time

from fabric.runtime.containers import logs
from fabric.runtime.namespaces.node_init import NAMESPACES
from fabric.runtime.processes import linux, program
from fabric.runtime.processes.context import kill
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import close_all
from fabric.runtime.processes.inventory import Entry
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fabric.runtime.namespaces.nodes import Nodes
    from fabric.runtime.processes.context import Context
    from fabric.runtime.processes.records import Record

    Spec = dict[str, Any]
    Key = tuple[str, str]
    Done = Callable[[], None]

KIND = "daemons"
DELAY_SECONDS, DELAY_SECONDS_MAX = 0.1, 5.0
LIVED_SECONDS = 10.0
"""After a run of this length the delay is short again."""
_SHORTEN_SECONDS = 30.0
_STATUS = ("node", "name", "pid", "argv", "restarts", "message")


class Daemon(Entry):
    """The inventory entry of a daemon."""

    __slots__ = ("delay_seconds", "then")

    def __init__(self, record: Record, process: Process | None) -> None:
        super().__init__(record, process)
        self.delay_seconds = DELAY_SECONDS
        self.then: Done | None = None
        """What follows its end, where that was asked for; else it is started again."""


class Daemons:
    """The daemons of one runtime, by node and name."""

    def __init__(self, context: Context, nodes: Nodes) -> None:
        self._context = context
        self._nodes = nodes
        self._daemons: dict[Key, Daemon] = {}
        nodes.on_end.append(self._forget_all_of)
        self._shorten_logs()

    def adopt(self) -> None:
        for record in self._context.records.read(KIND):
            daemon = Daemon(record, None)
            if not self._nodes.is_living(record["node"]):
                self._context.forget(KIND, _file(record))
                continue
            self._daemons[_key(record)] = daemon
            daemon.process = self._context.adopt(record)
            if daemon.process is not None:
                self._watch(daemon)
            else:
                record["message"] = "it ended while the runtime was away"
                self._start_again(daemon)

    async def start(self, spec: Spec) -> dict[str, Any]:
        """Keep it, and return how it is; nothing is kept after an exception."""
        self._nodes.process(spec["node"])
        daemon = self._daemons.get(_key(spec))
        if daemon is None:
            record = _record(spec)
            self._context.records.write(KIND, _file(record), record)
            self._begin(record)
        elif daemon.then is None and daemon.record["argv"] == spec["argv"]:
            daemon.record.update(_changeable(spec))
            self._note(daemon)
        else:
            await self._end(daemon, lambda: self._begin(_record(spec)))
        return self.status(spec)

    async def stop(self, node: str, name: str) -> None:
        """Kill it and forget it; return when it is dead."""
        daemon = self._daemons.get((node, name))
        if daemon is not None:
            await self._end(daemon, lambda: None)

    def status(self, spec: Spec) -> dict[str, Any]:
        """Return how one is; Failure when it is not kept any more."""
        daemon = self._daemons.get(_key(spec))
        if daemon is None:
            raise Failure(f"daemon {spec['name']}: it was stopped, or node {spec['node']} ended, meanwhile")
        return _status(daemon)

    def statuses(self, node: str) -> list[dict[str, Any]]:
        return [_status(d) for key, d in sorted(self._daemons.items()) if node in ("", key[0])]

    async def _end(self, daemon: Daemon, then: Done) -> None:
        """Kill it where it runs; when it is dead, forget it and call `then`."""
        daemon.then = then
        if daemon.process is None:
            self._follow(daemon)
        else:
            kill(daemon)
            await daemon.when_ended()

    def _follow(self, daemon: Daemon) -> None:
        """Do what is to follow its end: what was asked for, or a new start after a delay."""
        if daemon.then is not None:
            self._forget(daemon)
            daemon.then()
        else:
            self._start_later(daemon)

    def _begin(self, record: Record) -> None:
        daemon = self._daemons[_key(record)] = Daemon(record, None)
        self._launch(daemon, record["argv"])

    def _start_later(self, daemon: Daemon) -> None:
        delay, daemon.delay_seconds = daemon.delay_seconds, min(2 * daemon.delay_seconds, DELAY_SECONDS_MAX)

        def due() -> None:
            if self._daemons.get(_key(daemon.record)) is daemon:
                self._start_again(daemon)

        self._context.poll.later(delay, due)

    def _start_again(self, daemon: Daemon) -> None:
        record = daemon.record
        record["restarts"] += 1
        self._launch(daemon, record["restart_argv"] if record["ran"] else record["argv"])

    def _launch(self, daemon: Daemon, argv: list[str]) -> None:
        """Start the program; one that cannot be started is tried again later."""
        record = daemon.record
        try:
            process = _spawn(self._context, argv, record["log_path"], self._nodes.process(record["node"]))
            record.update(ran=True, started=time.monotonic())
            self._context.enlist(KIND, _file(record), process, record)
        except (Failure, OSError) as error:
            record.update(pid=0, start="", message=_reason(error))
            self._note(daemon)
            self._start_later(daemon)
            return
        daemon.process = process
        self._watch(daemon)

    def _watch(self, daemon: Daemon) -> None:
        def ended(code: int | None) -> None:
            record = daemon.record
            if time.monotonic() - record["started"] >= LIVED_SECONDS:
                daemon.delay_seconds = DELAY_SECONDS
            record.update(pid=0, start="", message=_words(code))
            daemon.process = None
            if self._daemons.get(_key(record)) is daemon:
                self._note(daemon)
                self._follow(daemon)
            daemon.ended()

        self._context.watch(daemon, ended)

    def _note(self, daemon: Daemon) -> None:
        self._context.save(KIND, _file(daemon.record), daemon.record)

    def _forget(self, daemon: Daemon) -> None:
        del self._daemons[_key(daemon.record)]
        self._context.forget(KIND, _file(daemon.record))

    def _forget_all_of(self, node: str) -> None:
        """The kernel has killed them with their node."""
        for daemon in [daemon for key, daemon in self._daemons.items() if key[0] == node]:
            self._forget(daemon)

    def _shorten_logs(self) -> None:
        for daemon in self._daemons.values():
            logs.shorten(daemon.record["log_path"])
        self._context.poll.later(_SHORTEN_SECONDS, self._shorten_logs)


def _spawn(context: Context, argv: list[str], log_path: str, node: Process) -> Process:
    """Start a program on a node, as root there, with what is known to the runtime as standard input."""
    log = logs.open_to_append(log_path) if log_path else os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    try:
        files = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((context.mark, log, log))]
        with context.template:
            linux.setns(node.fd, NAMESPACES | linux.CLONE_NEWNS)
            env = program.environment({}, 0)
            started = program.start(argv, env, files, program.User())
        return Process.of_child(started.pid)
    finally:
        close_all((log,))


def _key(named: dict[str, Any]) -> Key:
    return named["node"], named["name"]


def _file(record: Record) -> str:
    """Return the name of its record; a node's name holds no colon."""
    return f"{record['node']}:{record['name']}"


def _record(spec: Spec) -> Record:
    return {
        "node": spec["node"],
        "name": spec["name"],
        "argv": spec["argv"],
        **_changeable(spec),
        "pid": 0,
        "start": "",
        "started": 0.0,
        "ran": False,
        "restarts": 0,
        "message": "",
    }


def _changeable(spec: Spec) -> Record:
    """The part of a specification that may change while the daemon runs, and holds from its next start."""
    return {"restart_argv": spec.get("restart_argv") or spec["argv"], "log_path": spec.get("log_path") or ""}


def _status(daemon: Daemon) -> dict[str, Any]:
    return {key: daemon.record[key] for key in _STATUS}


def _reason(error: Failure | OSError) -> str:
    if isinstance(error, Failure):
        return error.message
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _words(code: int | None) -> str:
    if code is None:
        return "it ended; how was not seen"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"
