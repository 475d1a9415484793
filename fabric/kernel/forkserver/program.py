"""Becoming a program: environment, user, capabilities, working directory, exec; errors read like runc's."""

from __future__ import annotations

import errno
import os

from fabric.kernel.forkserver import linux
from fabric.kernel.forkserver.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
_MISSING = (errno.ENOENT, errno.ENOTDIR)
CAPABILITIES = {
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
"""What a container has by default; MKNOD is not among them, for no device controller guards the disks."""
DEFAULT_CAPABILITIES = sum(1 << number for number in CAPABILITIES.values())


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


def become_user(uid: int, gid: int) -> None:
    """Give up other users' rights, and the capabilities a container does not have."""
    linux.limit_capabilities(DEFAULT_CAPABILITIES)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if uid == 0:
        linux.set_capabilities(DEFAULT_CAPABILITIES)


def execute(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Become the program; Failure 127 when it is not there and 126 when it cannot be run."""
    name = argv[0]
    refused: OSError | None = None
    for path in _candidates(name, env):
        try:
            os.execve(path, list(argv), dict(env))
        except OSError as error:
            if refused is None or error.errno not in _MISSING:
                refused = error
    raise _refusal(name, refused or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def _candidates(name: str, env: Mapping[str, str]) -> list[str]:
    if "/" in name:
        return [name]
    return [f"{directory or '.'}/{name}" for directory in env.get("PATH", PATH).split(":")]


def _refusal(name: str, error: OSError) -> Failure:
    missing = error.errno in _MISSING
    if missing and "/" not in name:
        return Failure(f'exec: "{name}": executable file not found in $PATH', NOT_FOUND)
    if missing:
        return Failure(f'exec: "{name}": stat {name}: no such file or directory', NOT_FOUND)
    return Failure(f'exec: "{name}": {_words(error)}', NOT_EXECUTABLE)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
