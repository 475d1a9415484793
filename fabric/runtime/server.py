"""The runtime process is small, has one thread and one event loop, and nothing dies with it.

Run as `python -S -E -I -c …` (see `command`), it serves one unix socket. It forks what it is asked for and
notes how that ends. When it is killed, its children live on; started again on the same
directory, it adopts them.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import signal
import socket
import sys

from fabric.runtime import tasks
from fabric.runtime.connection import FDS_MAX, Connection
from fabric.runtime.containers.containers import Containers
from fabric.runtime.containers.sessions import Session
from fabric.runtime.daemons.daemons import Daemons
from fabric.runtime.namespaces.nodes import Nodes
from fabric.runtime.namespaces.root_template import RootTemplate
from fabric.runtime.namespaces.sandboxes import Sandboxes
from fabric.runtime.namespaces.shared_root import SharedRoot
from fabric.runtime.polling import Poll, tell_bug
from fabric.runtime.processes import orphans
from fabric.runtime.processes.context import Context
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import close_all
from fabric.runtime.processes.records import Records
from fabric.runtime.wire import holds_nul

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from fabric.runtime.tasks import Promise
    from fabric.runtime.wire import Message


_ACCEPT_SECONDS = 0.1
"""How long no client is taken when there is no descriptor for one."""


class Server:
    """The server answers requests; one that waits, for a death or a new process, does not stop the others."""

    def __init__(self, records: Records, template: RootTemplate, shared_root: SharedRoot, poll: Poll) -> None:
        self._poll = poll
        self._template = template
        context = Context(records, poll, template, shared_root, self._tell)
        self._nodes = Nodes(context)
        self._daemons = Daemons(context, self._nodes)
        self._sandboxes = Sandboxes(context, self._nodes)
        self._containers = Containers(context, self._sandboxes)
        self._listeners: list[Connection] = []
        self._sessions: dict[Connection, Session] = {}
        self._answers: dict[str, Callable[[Message], Any]] = {
            "nodes": lambda m: self._nodes.pids(),
            "daemons": lambda m: self._daemons.statuses(m["key"]),
            "prepare_host_path": lambda m: self._nodes.prepare_host_path(m["node"], m["path"], m["kind"]),
            "sandboxes": lambda m: self._sandboxes.statuses(),
            "signal_container": lambda m: self._containers.signal(m["key"], m["signal"]),
            "containers": lambda m: self._containers.statuses(m["key"]),
        }
        self._tasks: dict[str, Callable[[Message], Coroutine[Promise, None, Any]]] = {
            "start_node": lambda m: self._nodes.start(m["spec"]),
            "stop_node": lambda m: self._nodes.stop(m["key"]),
            "start_daemon": lambda m: self._daemons.start(m["spec"]),
            "stop_daemon": lambda m: self._daemons.stop(m["node"], m["name"]),
            "start_sandbox": lambda m: self._sandboxes.start(m["spec"]),
            "stop_sandbox": lambda m: self._containers.stop_sandbox(m["key"]),
            "start_container": lambda m: self._containers.start(m["spec"]),
            "remove_container": lambda m: self._containers.remove(m["key"]),
        }
        orphans.end_unnamed(records)
        for kind in (self._nodes, self._daemons, self._sandboxes, self._containers):
            kind.adopt()

    def accept(self, listener: socket.socket) -> None:
        """Take the next client, when there is a descriptor for it."""
        try:
            end, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            self._poll.pause(listener.fileno(), _ACCEPT_SECONDS)
            return
        try:
            Connection(end, self._poll, self._request)
        except OSError:
            end.close()

    def _request(self, connection: Connection, message: Message) -> None:
        if not isinstance(message.get("op"), str) or "id" not in message:
            connection.close()
            return

        def done(value: Any, error: Exception | None) -> None:
            if "exec" not in message["op"] or error is not None:
                _reply(connection, message["id"], value, error)

        tasks.run(self._answer(connection, message), done)

    async def _answer(self, connection: Connection, message: Message) -> Any:
        if holds_nul(message):
            raise Failure("a string holds a NUL byte, which Linux takes in no word, name or path")
        op = message["op"]
        if op in self._answers:
            return self._answers[op](message)
        if op in self._tasks:
            return await self._tasks[op](message)
        if op == "events":
            return self._listen(connection)
        if op in ("exec", "exec_node"):
            return await self._exec(connection, message)
        if connection in self._sessions:
            return self._steer(self._sessions[connection], message)
        raise Failure(f"the runtime knows no request {op!r}")

    def _listen(self, connection: Connection) -> None:
        self._listeners.append(connection)
        connection.on_close.append(lambda: self._listeners.remove(connection))

    def _tell(self, sandbox: str) -> None:
        for connection in tuple(self._listeners):
            connection.send({"event": sandbox})

    async def _exec(self, connection: Connection, message: Message) -> None:
        key, fds = message["key"], connection.take_fds()
        try:
            if not message.get("tty") and len(fds) != FDS_MAX:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            if message["op"] == "exec_node":
                target, user = self._nodes.process(key), None
            else:
                target = await self._containers.exec_place(key)
                user = self._containers.record(key)
            session = await Session.start(connection, self._poll, self._template, target, message, user, fds)
        finally:
            close_all(fds)
        self._sessions[connection] = session
        connection.on_close.append(lambda: self._forget_session(connection))
        connection.send({"id": message["id"], "ok": None}, session.fds)

    def _forget_session(self, connection: Connection) -> None:
        self._sessions.pop(connection, None)

    def _steer(self, session: Session, message: Message) -> None:
        if message["op"] == "resize":
            session.resize(message["rows"], message["columns"])
        elif message["op"] == "signal":
            session.signal(message["signal"])


def _reply(connection: Connection, id: int, value: Any, error: Exception | None) -> None:
    """Answer a request; a bug is answered as one, and its traceback is logged."""
    if error is None:
        try:
            connection.send({"id": id, "ok": value})
            return
        except ValueError as too_long:
            error = Failure(str(too_long))
    code = 0
    if isinstance(error, Failure):
        text, code = error.message, error.code
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    else:
        text = f"bug in the runtime: {error!r}"
        tell_bug(error)
    connection.send({"id": id, "error": text, "code": code})


def main() -> None:
    """Serve for ever: arguments are the socket's path and the directory of the records."""
    path, directory = sys.argv[1:3]
    # Where it is ignored, Linux reaps children itself, and their exit codes are gone.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.umask(0o022)
    os.chdir("/")
    records = Records(directory)
    lock = _lock(directory)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.setgroups([])
    poll = Poll()
    server = Server(records, *_places(directory), poll)
    listener = _listen(path)
    poll.watch(listener.fileno(), lambda _: server.accept(listener))
    gc.collect()
    gc.freeze()
    while lock >= 0:
        poll.run_once()


def _places(directory: str) -> tuple[RootTemplate, SharedRoot]:
    point = f"{directory}/template"
    os.makedirs(point, exist_ok=True)
    template = RootTemplate(point)
    return template, SharedRoot(template, point)


def _lock(directory: str) -> int:
    fd = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"runtime: another runtime works on {directory}; end that one first")
    return fd


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(path):
        os.unlink(path)
    old = os.umask(0o077)
    listener.bind(path)
    os.umask(old)
    listener.listen(128)
    listener.setblocking(False)
    return listener
