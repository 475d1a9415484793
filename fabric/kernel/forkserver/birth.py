"""How a process comes into being: it sets itself up, waits for its go, and becomes its program.

The runtime writes down the pid before it says go. When the runtime dies in between, the child reads
the end of its channel and leaves: no process runs that no record names. The channel closes at exec, so
its end says success; what goes wrong before comes over it as a message.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from fabric.kernel.forkserver import linux
from fabric.kernel.forkserver.failure import Failure
from fabric.kernel.forkserver.process import Process, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Become = Callable[[], None]
    """Turns the child into its program; it comes back only by an exception."""
    Prepare = Callable[["Channel"], Become]

SETUP_SECONDS_MAX = 20.0
_HELLO, _GO = b"hello", b"go"
_CREDENTIALS_BYTES = 12


class Channel:
    """The child's end."""

    def __init__(self, end: socket.socket, other: socket.socket) -> None:
        self._end = end
        self._other = other

    def hold(self) -> None:
        """Let go of the runtime's end, or the child would never see it close."""
        self._other.close()

    def hello(self, fd: int | None = None) -> None:
        """Say that all is set up (the kernel adds the pid), hand over `fd`, and wait for the go."""
        socket.send_fds(self._end, [_HELLO], [] if fd is None else [fd])
        if self._end.recv(16) != _GO:
            os._exit(0)

    def fail(self, failure: Failure) -> None:
        text = json.dumps({"message": failure.message[:4096], "code": failure.code})
        self._end.send(text.encode())

    def fileno(self) -> int:
        return self._end.fileno()


class Newborn:
    """A child that is set up; `go` makes it its program, `abandon` ends it."""

    def __init__(self, process: Process, end: socket.socket, fd: int | None) -> None:
        self.process = process
        self.fd = fd
        """What it handed over: the master end of its terminal."""
        self._end = end

    def go(self) -> None:
        """Let it become its program; Failure when it cannot."""
        try:
            self._end.send(_GO)
            text = self._end.recv(8192)
        except BrokenPipeError:
            text = b""
        finally:
            self._end.close()
        if text:
            raise _failure(text)


def bear(prepare: Prepare, flags: int, *, inside: int | None = None, nested: bool = False) -> Newborn:
    """Fork a child with new namespaces of `flags`, in the PID namespace of the pidfd `inside`.

    `nested`: the child gets a PID namespace of its own inside of that. OSError or Failure when it
    could not set itself up.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.settimeout(SETUP_SECONDS_MAX)
    try:
        with theirs:
            channel = Channel(theirs, ours)
            pid = _clone_inside(prepare, channel, flags, inside, nested)
        return _meet(ours, None if nested else pid)
    except BaseException:
        ours.close()
        raise


def _clone_inside(prepare: Prepare, channel: Channel, flags: int, inside: int | None, nested: bool) -> int:
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if inside is not None:
            linux.setns(inside, linux.CLONE_NEWPID)
        pid = linux.clone(0 if nested else flags)
        if pid == 0:
            if nested:
                _clone_again(prepare, channel, flags)
            _live(prepare, channel)
        return pid
    finally:
        linux.setns(home, linux.CLONE_NEWPID)
        os.close(home)
        if nested and pid:
            os.waitpid(pid, 0)


def _clone_again(prepare: Prepare, channel: Channel, flags: int) -> NoReturn:
    """A PID namespace in a PID namespace is made from within; the child is the runtime's all the same."""
    try:
        if linux.clone(flags | linux.CLONE_PARENT) == 0:
            _live(prepare, channel)
    except OSError as error:
        channel.fail(Failure(f"{error.filename}: {error.strerror}"))
    os._exit(0)


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


def _meet(ours: socket.socket, pid: int | None) -> Newborn:
    room = socket.CMSG_SPACE(_CREDENTIALS_BYTES) + socket.CMSG_SPACE(4)
    try:
        text, ancillary, _, _ = ours.recvmsg(8192, room)
    except TimeoutError:
        if pid:
            os.kill(pid, signal.SIGKILL)
        _reap(pid)
        raise Failure(f"a new process was not set up within {SETUP_SECONDS_MAX:.0f} s") from None
    fd = None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fd = int.from_bytes(data[:4], "little")
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid = int.from_bytes(data[:4], "little") or pid
    if text != _HELLO or not pid:
        _reap(pid)
        raise _failure(text)
    if fd is not None:
        os.set_inheritable(fd, False)
    return Newborn(Process(pid, start_time(pid), os.pidfd_open(pid)), ours, fd)


def _reap(pid: int | None) -> None:
    try:
        if pid:
            os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _failure(text: bytes) -> Failure:
    if not text:
        return Failure("the new process died while it was set up")
    told = json.loads(text)
    return Failure(told["message"], told["code"])
