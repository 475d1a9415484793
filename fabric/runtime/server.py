"""The runtime process is small, has one thread and one event loop, and nothing dies with it.

Run as `python -S -E -I -c …` (see `command`), it serves one unix socket. It forks what it is asked for and
notes how that ends. When it is killed, its children live on; started again on the same
directory, it adopts them.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import socket
import sys

from fabric.runtime.connection import Connection
from fabric.runtime.containers.containers import Containers
from fabric.runtime.containers.sessions import Session
from fabric.runtime.daemons.daemons import Daemons
from fabric.runtime.namespaces.nodes import Nodes
from fabric.runtime.namespaces.root_template import RootTemplate
from fabric.runtime.namespaces.sandboxes import Sandboxes
from fabric.runtime.namespaces.shared_root import SharedRoot
from fabric.runtime.polling import Poll
from fabric.runtime.processes import orphans
from fabric.runtime.processes.context import Context
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.records import Records
from fabric.runtime.wire import holds_nul

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fabric.runtime.processes.process import Process
    from fabric.runtime.wire import Message

    Answer = Callable[[Any], None]


class Server:
    """The server answers requests; one that waits for a death is answered when it is seen."""

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
            "start_node": lambda m: self._nodes.start(m["spec"]),
            "nodes": lambda m: self._nodes.pids(),
            "daemons": lambda m: self._daemons.statuses(m["key"]),
            "start_sandbox": lambda m: self._sandboxes.start(m["spec"]),
            "sandboxes": lambda m: self._sandboxes.statuses(),
            "start_container": lambda m: self._containers.start(m["spec"]),
            "signal_container": lambda m: self._containers.signal(m["key"], m["signal"]),
            "containers": lambda m: self._containers.statuses(m["key"]),
        }
        self._later: dict[str, Callable[[Message, Callable[[], None]], None]] = {
            "stop_node": lambda m, done: self._nodes.stop(m["key"], done),
            "stop_daemon": lambda m, done: self._daemons.stop(m["node"], m["name"], done),
            "stop_sandbox": lambda m, done: self._stop_sandbox(m["key"], done),
            "remove_container": lambda m, done: self._containers.remove(m["key"], done),
        }
        orphans.end_unnamed(records)
        for kind in (self._nodes, self._daemons, self._sandboxes, self._containers):
            kind.adopt()

    def accept(self, listener: socket.socket) -> None:
        """Take the next client."""
        end, _ = listener.accept()
        Connection(end, self._poll, self._request)

    def _request(self, connection: Connection, message: Message) -> None:
        self._try(connection, message["id"], lambda: self._dispatch(connection, message))

    def _try(self, connection: Connection, id: int, call: Callable[[], None]) -> None:
        """Call, and tell the client when it is refused."""
        try:
            call()
        except Failure as failure:
            connection.send({"id": id, "error": failure.message, "code": failure.code})
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            connection.send({"id": id, "error": f"{where}{error.strerror}", "code": 0})

    def _dispatch(self, connection: Connection, message: Message) -> None:
        if holds_nul(message):
            raise Failure("a string holds a NUL byte, which Linux takes in no word, name or path")
        op, id = message["op"], message["id"]
        if op in self._answers:
            connection.send({"id": id, "ok": self._answers[op](message)})
        elif op in self._later:
            self._later[op](message, lambda: connection.send({"id": id, "ok": None}))
        elif op == "start_daemon":
            self._start_daemon(connection, message)
        elif op == "events":
            self._listen(connection)
            connection.send({"id": id, "ok": None})
        elif op in ("exec", "exec_node"):
            self._exec(connection, message)
        elif connection in self._sessions:
            self._steer(self._sessions[connection], message)
        else:
            raise Failure(f"the runtime knows no request {op!r}")

    def _start_daemon(self, connection: Connection, message: Message) -> None:
        id, spec = message["id"], message["spec"]

        def tell() -> None:
            connection.send({"id": id, "ok": self._daemons.status(spec)})

        self._daemons.start(spec, lambda: self._try(connection, id, tell))

    def _stop_sandbox(self, id: str, done: Callable[[], None]) -> None:
        self._sandboxes.stop(id, lambda: self._containers.remove_all_of(id, done))

    def _listen(self, connection: Connection) -> None:
        self._listeners.append(connection)
        connection.on_close.append(lambda: self._listeners.remove(connection))

    def _tell(self, sandbox: str) -> None:
        for connection in tuple(self._listeners):
            connection.send({"event": sandbox})

    def _exec(self, connection: Connection, message: Message) -> None:
        key = message["key"]
        if message["op"] == "exec_node":
            target: Process = self._nodes.process(key)
            user: dict[str, Any] = {}
        else:
            target, user = self._containers.room(key), self._containers.record(key)
        session = Session.start(connection, self._poll, self._template, target, message, user)
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


def main() -> None:
    """Serve for ever: arguments are the socket's path and the directory of the records."""
    path, directory = sys.argv[1:3]
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
