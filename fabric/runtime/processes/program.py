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

from fabric.runtime.builtin import registry
from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure
from fabric.runtime.processes.files import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from fabric.runtime.builtin.registry import Builtin

    FileAction = tuple[Any, ...]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
"""As in Docker; MKNOD is not among them, for no device controller guards the disks."""
CAPABILITIES = sum(1 << number for number in _CAPABILITIES.values())
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
"""By Python, and by a zygote."""
_MESSAGE_BYTES_MAX = 4096
_BUG = 70
"""The exit code of one of the runtime's own programs that failed by itself (EX_SOFTWARE)."""


class User:
    """Who a program runs as; `confined` has a container's capabilities, else all."""

    def __init__(self, uid: int = 0, gid: int = 0, *, confined: bool) -> None:
        self.uid = uid
        self.gid = gid
        self.confined = confined


def environment(given: Mapping[str, str], uid: int) -> dict[str, str]:
    """Return the given environment with PATH and HOME where they are missing."""
    return {"PATH": PATH, "HOME": "/root" if uid == 0 else "/"} | dict(given)


def enter_directory(path: str) -> None:
    """Change to the working directory, making it as runc does."""
    try:
        os.makedirs(path, exist_ok=True)
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
) -> int:
    """Start a program in the namespaces and the directory of the caller and return its pid.

    `files` are posix_spawn's file actions. `first` is done in the child, which costs a fork. Without a
    `session` of its own, which costs the kernel a scheduling group, it has a process group of its own.
    Failure 127 when the program is not there and 126 when it cannot be run.
    """
    _check(argv, env)
    if user.confined:
        linux.confine(CAPABILITIES)
    try:
        if first is None and user.uid == user.gid == 0 and _builtin(argv, user) is None:
            return _spawn(argv, env, files, {"setsid": True} if session else {"setpgroup": 0})
        return _fork(argv, env, files, user, first)
    finally:
        if user.confined:
            linux.release()


def _builtin(argv: list[str], user: User) -> Builtin | None:
    return registry.find(argv[0], in_container=user.confined)


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
    argv: list[str], env: Mapping[str, str], files: Sequence[FileAction], group: dict[str, Any]
) -> int:
    return _try(
        argv[0],
        env,
        lambda path: os.posix_spawn(path, argv, env, file_actions=files, setsigdef=_IGNORED, **group),
    )


def _fork(
    argv: list[str],
    env: Mapping[str, str],
    files: Sequence[FileAction],
    user: User,
    first: Callable[[], None] | None,
) -> int:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _live(argv, env, files, user, first)
        except Failure as failure:
            _complain(write, failure)
        except OSError as error:
            _complain(write, Failure(f"{error.filename or argv[0]}: {_words(error)}"))
        finally:
            os._exit(NOT_FOUND)
    os.close(write)
    text = b""
    while part := os.read(read, _MESSAGE_BYTES_MAX):
        text += part
    os.close(read)
    if text:
        os.waitpid(pid, 0)
        raise Failure(*json.loads(text))
    return pid


def _live(
    argv: list[str],
    env: Mapping[str, str],
    files: Sequence[FileAction],
    user: User,
    first: Callable[[], None] | None,
) -> NoReturn:
    os.setsid()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    for action in files:
        _act(*action)
    if first is not None:
        first()
    os.setgroups([])
    builtin = _builtin(argv, user)
    if builtin is not None:
        _go_on(builtin, argv, env, user)
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
