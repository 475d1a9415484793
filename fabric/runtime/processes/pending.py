"""A pending process is a child that sets itself up, waits for its go, and becomes its program: a node's init.

The runtime writes down the pid before it says go. When the runtime dies in between, the child reads
the end of its channel and leaves: no process runs that no record names. The channel closes at exec, so
its end says success; what goes wrong before comes over it as a message.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Exec = Callable[[], None]
    """Turns the child into its program; it comes back only by an exception."""
    Prepare = Callable[["Channel"], Exec]

SETUP_SECONDS_MAX = 20.0
_HELLO, _GO = b"hello", b"go"
_MESSAGE_BYTES_MAX = 8192


class Channel:
    """The child's end."""

    def __init__(self, end: socket.socket, other: socket.socket) -> None:
        self._end = end
        self._other = other

    def hold(self) -> None:
        """Let go of the runtime's end, or the child would never see it close."""
        self._other.close()

    def hello(self) -> None:
        """Say that all is set up, and wait for the go."""
        self._end.send(_HELLO)
        if self._end.recv(16) != _GO:
            os._exit(0)

    def fail(self, failure: Failure) -> None:
        text = json.dumps({"message": failure.message[:4096], "code": failure.code})
        self._end.send(text.encode())


class PendingProcess:
    """A child that is set up; `go` makes it its program."""

    def __init__(self, process: Process, end: socket.socket) -> None:
        self.process = process
        self._end = end

    def go(self) -> None:
        """Let it become its program; Failure when it cannot."""
        try:
            self._end.send(_GO)
            text = self._end.recv(_MESSAGE_BYTES_MAX)
        except BrokenPipeError:
            text = b""
        finally:
            self._end.close()
        if text:
            raise _failure(text)


def bear(prepare: Prepare, flags: int) -> PendingProcess:
    """Fork a child with new namespaces of `flags`; OSError or Failure when it could not set itself up."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SETUP_SECONDS_MAX)
    try:
        with theirs:
            pid = linux.clone(flags)
            if pid == 0:
                _live(prepare, Channel(theirs, ours))
        return _meet(ours, pid)
    except BaseException:
        ours.close()
        raise


def _live(prepare: Prepare, channel: Channel) -> NoReturn:
    try:
        channel.hold()
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        prepare(channel)()
    except Failure as failure:
        channel.fail(failure)
    except OSError as error:
        channel.fail(Failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)))
    except BaseException as bug:
        channel.fail(Failure(f"bug in the runtime's child: {bug!r}"))
    finally:
        os._exit(70)


def _meet(ours: socket.socket, pid: int) -> PendingProcess:
    try:
        text = ours.recv(_MESSAGE_BYTES_MAX)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Failure(f"a new process was not set up within {SETUP_SECONDS_MAX:.0f} s") from None
    if text != _HELLO:
        os.waitpid(pid, 0)
        raise _failure(text)
    return PendingProcess(Process.born(pid), ours)


def _failure(text: bytes) -> Failure:
    if not text:
        return Failure("the new process died while it was set up")
    told = json.loads(text)
    return Failure(told["message"], told["code"])
