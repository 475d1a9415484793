"""A pending process is a child that sets itself up, waits for its go, and becomes its program: a node's init.

The runtime writes down the pid before it says go. When the runtime dies in between, the child reads
the end of its channel and leaves: no process runs that no record names. The channel closes at exec, so
its end says success; what goes wrong before comes over it as a message. The runtime waits for a child
without stopping for others.
"""

from __future__ import annotations

import json
import os
import socket

from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.process import Process
from fabric.runtime.processes.program import default_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from fabric.runtime.polling import Poll

    Exec = Callable[[], None]
    """Turns the child into its program; it comes back only by an exception."""
    Prepare = Callable[["Channel"], Exec]

SETUP_SECONDS_MAX = 10.0
_HELLO, _GO = b"hello", b"go"
_MESSAGE_BYTES_MAX = 8192


class Channel:
    """The child's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def hello(self) -> None:
        """Say that all is set up, and wait for the go."""
        self._end.send(_HELLO)
        if self._end.recv(16) != _GO:
            os._exit(0)

    def fail(self, failure: Failure) -> None:
        text = json.dumps({"message": failure.message[:4096], "code": failure.code})
        self._end.send(text.encode())


class PendingProcess:
    """The runtime's end: `set_up`, then `go`; whoever does not come so far has to `close` it."""

    def __init__(self, process: Process, end: socket.socket, poll: Poll) -> None:
        self.process = process
        self._end = end
        self._poll = poll

    async def set_up(self) -> None:
        """Wait until the child has set itself up; Failure when it could not, or not in time."""
        text = await self._receive()
        if text != _HELLO:
            raise _failure(text)

    async def go(self) -> None:
        """Let it become its program; Failure when it cannot."""
        try:
            self._end.send(_GO)
            text = await self._receive()
        except BrokenPipeError:
            text = b""
        if text:
            raise _failure(text)
        self.close()

    def close(self) -> None:
        self._end.close()

    async def _receive(self) -> bytes:
        if not await self._poll.readable(self._end.fileno(), SETUP_SECONDS_MAX):
            raise Failure(f"a new process was not set up within {SETUP_SECONDS_MAX:.0f} s")
        return self._end.recv(_MESSAGE_BYTES_MAX)


def fork_pending(prepare: Prepare, poll: Poll) -> PendingProcess:
    """Fork a child as PID 1 of a new PID namespace; OSError when there can be none."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            pid = linux.clone(linux.CLONE_NEWPID)
            if pid == 0:
                ours.close()
                _live(prepare, Channel(theirs))
        return PendingProcess(Process.of_child(pid), ours, poll)
    except BaseException:
        ours.close()
        raise


def _live(prepare: Prepare, channel: Channel) -> NoReturn:
    try:
        default_signals()
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


def _failure(text: bytes) -> Failure:
    if not text:
        return Failure("the new process died while it was set up")
    told = json.loads(text)
    return Failure(told["message"], told["code"])
