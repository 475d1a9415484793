"""Programs started beside a container's, or on a node: each belongs to the connection that asked for it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios

from fabric.kernel.forkserver import linux, program
from fabric.kernel.forkserver.birth import bear
from fabric.kernel.forkserver.failure import Failure
from fabric.kernel.forkserver.workshop import discard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fabric.kernel.forkserver.birth import Become, Channel, Prepare
    from fabric.kernel.forkserver.connection import Connection
    from fabric.kernel.forkserver.polling import Poll
    from fabric.kernel.forkserver.process import Process

_ALL = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441


class Session:
    """One running program; it is killed when its connection closes."""

    def __init__(self, process: Process, terminal: int | None, connection: Connection, poll: Poll) -> None:
        self._process = process
        self._terminal = terminal
        self._connection = connection
        self._poll = poll
        connection.on_close.append(self._kill)
        poll.watch(process.fd, self._ended)

    @classmethod
    def start(
        cls,
        connection: Connection,
        poll: Poll,
        target: Process,
        request: dict[str, Any],
        user: dict[str, Any],
    ) -> Session:
        """Start the program of a request in the namespaces of `target`; Failure when it cannot be."""
        fds = connection.take_fds()
        try:
            newborn = bear(_prepare(request, user, target.fd, fds), 0, inside=target.fd)
        finally:
            for fd in fds:
                os.close(fd)
        try:
            newborn.go()
        except Failure:
            discard(newborn)
            if newborn.fd is not None:
                os.close(newborn.fd)
            raise
        return cls(newborn.process, newborn.fd, connection, poll)

    @property
    def fds(self) -> tuple[int, ...]:
        """The master end of its terminal, for the client."""
        return () if self._terminal is None else (self._terminal,)

    def resize(self, rows: int, columns: int) -> None:
        if self._terminal is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> None:
        if self._process.fd >= 0:
            self._process.signal(number)

    def _ended(self, _: int) -> None:
        self._poll.forget(self._process.fd)
        code = self._process.end() or 0
        self._connection.send({"exit": 128 - code if code < 0 else code})
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _kill(self) -> None:
        self.signal(signal.SIGKILL)


def _prepare(request: dict[str, Any], user: dict[str, Any], target: int, fds: Sequence[int]) -> Prepare:
    def prepare(channel: Channel) -> Become:
        linux.setns(target, _ALL)
        terminal = None
        if request.get("tty"):
            terminal = _open_terminal()
        else:
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
        env = program.environment({**user.get("env", {}), **request.get("env", {})}, user.get("uid", 0))
        program.enter_directory(user.get("cwd", "/"))
        if user:
            program.become_user(user["uid"], user["gid"])
        channel.hello(terminal)
        return lambda: program.execute(request["argv"], env)

    return prepare


def _open_terminal() -> int:
    """Make a terminal of the namespace's devpts this process's own; return its master end."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(slave, number)
    return master
