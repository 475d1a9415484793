"""Exec sessions are programs beside a container's, or on a node, that end with their connection."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios

from fabric.runtime.containers.container import user_of
from fabric.runtime.processes import linux, program
from fabric.runtime.processes.files import close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fabric.runtime.connection import Connection
    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.polling import Poll
    from fabric.runtime.processes.process import Process
    from fabric.runtime.processes.program import FileAction

_ALL = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID
_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430


class Session:
    """An exec session: a running program, which is killed when its connection closes."""

    def __init__(self, process: Process, terminal: int, connection: Connection, poll: Poll) -> None:
        self._process = process
        self._terminal = terminal
        self._connection = connection
        self._poll = poll
        connection.on_close.append(self._kill)
        if not connection.is_open:
            self._kill()
        poll.watch(process.fd, self._ended)

    @classmethod
    async def start(
        cls,
        connection: Connection,
        poll: Poll,
        template: RootTemplate,
        target: Process,
        request: dict[str, Any],
        user: dict[str, Any] | None,
        fds: Sequence[int],
    ) -> Session:
        """Start the program of a request in the namespaces of `target`; Failure when it cannot be."""
        terminal = -1
        try:
            with template:
                linux.setns(target.fd, _ALL)
                if request.get("tty"):
                    terminal, files = _open_terminal()
                else:
                    files = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)]
                started = _start(request, user, files)
            process = await started.settled(poll)
            return cls(process, terminal, connection, poll)
        except BaseException:
            close_all((terminal,))
            raise

    @property
    def fds(self) -> tuple[int, ...]:
        """The master end of its terminal, for the client."""
        return () if self._terminal < 0 else (self._terminal,)

    def resize(self, rows: int, columns: int) -> None:
        if self._terminal >= 0:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> None:
        if self._process.fd >= 0:
            self._process.signal(number)

    def _ended(self, _: int) -> None:
        self._poll.forget(self._process.fd)
        code = self._process.end() or 0
        self._connection.send({"exit": 128 - code if code < 0 else code})
        close_all((self._terminal,))
        self._terminal = -1

    def _kill(self) -> None:
        self.signal(signal.SIGKILL)


def _start(
    request: dict[str, Any], container: dict[str, Any] | None, files: Sequence[FileAction]
) -> program.Started:
    """Start it as a container's user, or on a node as root."""
    user = user_of(container) if container is not None else program.User()
    container = container or {}
    env = program.environment({**container.get("env", {}), **request.get("env", {})}, user.uid)
    program.enter_directory(container.get("cwd", "/"))
    return program.start(request["argv"], env, files, user)


def _open_terminal() -> tuple[int, list[FileAction]]:
    """Make a terminal of the namespace's devpts; its master end, and how a session leader gets the other."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))
    files: list[FileAction] = [(os.POSIX_SPAWN_OPEN, 0, f"/dev/pts/{number}", os.O_RDWR, 0)]
    return master, files + [(os.POSIX_SPAWN_DUP2, 0, other) for other in (1, 2)]
