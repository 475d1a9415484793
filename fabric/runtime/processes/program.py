"""A program is started in the namespaces that the runtime has entered, by vfork or by fork.

vfork (posix_spawn) is enough where nothing is left to do but exec: it copies no memory and takes a third of
the time. Errors read like runc's.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import sys

from fabric import folders
from fabric.runtime.builtin import registry
from fabric.runtime.processes import capabilities, linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import close_all, set_title
from fabric.runtime.processes.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from fabric.runtime.builtin.registry import Builtin
    from fabric.runtime.polling import Poll

    FileAction = tuple[Any, ...]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_NOW_IMPOSSIBLE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC)
"""Errors that say nothing of the program: the machine, or a limit of processes, has no room for it now."""
_ALL_SIGNALS = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
START_SECONDS_MAX = 10.0
_MESSAGE_BYTES_MAX = 4096
_BUG = 70
"""The exit code of one of the runtime's own programs that failed by itself (EX_SOFTWARE)."""


class User:
    """The user of a program; `capabilities` is the set that it is confined to, None for no confinement."""

    __slots__ = ("capabilities", "gid", "uid")

    def __init__(self, uid: int = 0, gid: int = 0, capabilities: int | None = None) -> None:
        self.uid = uid
        self.gid = gid
        self.capabilities = capabilities

    @property
    def is_confined(self) -> bool:
        return self.capabilities is not None

    @property
    def is_plain(self) -> bool:
        """True where vfork and exec are enough to become this user."""
        return self.uid == self.gid == 0 and self.capabilities in (None, capabilities.DEFAULT)


class Started:
    """A child that becomes its program; `settled` says whether it could."""

    __slots__ = ("_pipe", "pid")

    def __init__(self, pid: int, pipe: int = -1) -> None:
        self.pid = pid
        self._pipe = pipe

    async def settled(self, poll: Poll) -> Process:
        """Return its process when it runs its program; Failure or OSError when it does not, and is dead."""
        pipe, self._pipe = self._pipe, -1
        try:
            process = Process.of_child(self.pid)
        except OSError:
            close_all((pipe,))
            raise
        if pipe < 0:
            return process
        try:
            await _told(poll, pipe)
        except (Failure, OSError):
            process.signal(signal.SIGKILL)
            process.end()
            raise
        finally:
            os.close(pipe)
        return process


async def _told(poll: Poll, pipe: int) -> None:
    if not await poll.readable(pipe, START_SECONDS_MAX):
        raise Failure(f"a new process did not start its program within {START_SECONDS_MAX:.0f} s")
    text = os.read(pipe, _MESSAGE_BYTES_MAX)
    if text:
        raise Failure(*json.loads(text))


def default_signals() -> None:
    """Take every signal as a new program does, whatever this process was started with."""
    for number in _ALL_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def environment(given: Mapping[str, str], uid: int) -> dict[str, str]:
    """Return the given environment with PATH and HOME where they are missing."""
    return {"PATH": PATH, "HOME": "/root" if uid == 0 else "/"} | dict(given)


def enter_directory(path: str) -> None:
    """Change to the working directory, making it as runc does."""
    try:
        folders.make(path)
        os.chdir(path)
    except OSError as error:
        raise Failure(f'mkdir "{path}": {_words(error)}', NOT_EXECUTABLE) from error


def start(
    argv: list[str],
    env: Mapping[str, str],
    files: Sequence[FileAction],
    user: User,
    first: Callable[[], None] | None = None,
    *,
    session: bool = True,
) -> Started:
    """Start a program in the namespaces and the directory of the caller.

    `files` are posix_spawn's file actions. `first` is done in the child, which costs a fork. Without a
    `session` of its own, which costs the kernel a scheduling group, it has a process group of its own. It
    has default signals and an empty mask. Failure 127 when the program is not there and 126 when it cannot be
    run; OSError when the machine has no room for it.
    """
    _check(argv, env)
    builtin = registry.find(argv[0], in_container=user.is_confined)
    if builtin is None and first is None and user.is_plain:
        return Started(_spawn(argv, env, files, user, {"setsid": True} if session else {"setpgroup": 0}))
    return _fork(argv, env, files, user, first, builtin)


def become(argv: list[str], env: Mapping[str, str]) -> NoReturn:
    """Turn this process into the program; Failure as `start`."""
    _try(argv[0], env, lambda path: os.execve(path, argv, env))
    raise AssertionError("exec came back")


def _check(argv: list[str], env: Mapping[str, str]) -> None:
    """Refuse what exec would take for our own mistake."""
    if not argv or not argv[0]:
        raise Failure('exec: "": executable file not found in $PATH', NOT_FOUND)
    for name in env:
        if not name or "=" in name:
            raise Failure(f"{name!r} cannot be the name of a variable", NOT_EXECUTABLE)


def _spawn(
    argv: list[str], env: Mapping[str, str], files: Sequence[FileAction], user: User, group: dict[str, Any]
) -> int:
    if user.capabilities is not None:
        linux.confine(user.capabilities)
    try:
        return _try(
            argv[0],
            env,
            lambda path: os.posix_spawn(
                path, argv, env, file_actions=files, setsigdef=_ALL_SIGNALS, setsigmask=(), **group
            ),
        )
    finally:
        if user.capabilities is not None:
            linux.release()


def _fork(
    argv: list[str],
    env: Mapping[str, str],
    files: Sequence[FileAction],
    user: User,
    first: Callable[[], None] | None,
    builtin: Builtin | None,
) -> Started:
    """Fork; the pipe closes when the child has become its program, and brings a message when it could not."""
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        close_all((read, write))
        raise
    if pid == 0:
        try:
            _live(argv, env, files, user, first, builtin)
        except Failure as failure:
            _complain(write, failure)
        except OSError as error:
            _complain(write, Failure(f"{error.filename or argv[0]}: {_words(error)}"))
        except BaseException as bug:
            _complain(write, Failure(f"bug in the runtime's child: {bug!r}"))
        finally:
            os._exit(NOT_FOUND)
    os.close(write)
    if builtin is not None and first is None:
        os.close(read)
        return Started(pid)
    return Started(pid, read)


def _live(
    argv: list[str],
    env: Mapping[str, str],
    files: Sequence[FileAction],
    user: User,
    first: Callable[[], None] | None,
    builtin: Builtin | None,
) -> NoReturn:
    os.setsid()
    default_signals()
    for action in files:
        _act(*action)
    if first is not None:
        first()
    os.setgroups([])
    if builtin is not None:
        _go_on(builtin, argv, env, user)
    if user.capabilities is not None:
        linux.bound(user.capabilities)
    os.setgid(user.gid)
    os.setuid(user.uid)
    become(argv, env)


def _go_on(builtin: Builtin, argv: list[str], env: Mapping[str, str], user: User) -> NoReturn:
    """Go on as a built-in program: without the runtime's descriptors, and under another name.

    No ctypes here, and nothing that is there is looked at for garbage: each page that the child touches
    is a page of memory for each such program.
    """
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    set_title(" ".join(argv))
    gc.freeze()
    try:
        builtin.run(argv, env, user.uid, user.gid)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(_BUG)


def _act(kind: int, *arguments: Any) -> None:
    """Do what posix_spawn would do of itself."""
    if kind == os.POSIX_SPAWN_OPEN:
        number, path, flags, mode = arguments
        arguments = (os.open(path, flags, mode), number)
    os.dup2(*arguments)


def _complain(fd: int, failure: Failure) -> None:
    os.write(fd, json.dumps([failure.message[:_MESSAGE_BYTES_MAX], failure.code]).encode())


def _try(name: str, env: Mapping[str, str], call: Callable[[str], int]) -> int:
    path = find(name, env)
    try:
        return call(path)
    except OSError as error:
        if error.errno in _NOW_IMPOSSIBLE:
            raise OSError(error.errno, error.strerror, name) from error
        raise _refusal(name, error) from error


def find(name: str, env: Mapping[str, str]) -> str:
    """Return where the program is. One try must do: PID 1 of a namespace that fails ends the namespace."""
    if "/" in name:
        return name
    paths = [f"{directory or '.'}/{name}" for directory in env.get("PATH", PATH).split(":")]
    there = [path for path in paths if os.path.isfile(path)]
    able = [path for path in there if os.access(path, os.X_OK)]
    return (able or there or paths)[0]


def _refusal(name: str, error: OSError) -> Failure:
    missing = error.errno in _MISSING
    if missing and "/" not in name:
        return Failure(f'exec: "{name}": executable file not found in $PATH', NOT_FOUND)
    if missing:
        return Failure(f'exec: "{name}": stat {name}: no such file or directory', NOT_FOUND)
    return Failure(f'exec: "{name}": {_words(error)}', NOT_EXECUTABLE)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
