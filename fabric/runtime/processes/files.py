"""Descriptors that children inherit, and small files below /proc."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Opened:
    """Files that are open, for reading and writing, as long as this is entered."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = paths
        self._fds: list[int] = []

    def __enter__(self) -> Sequence[int]:
        try:
            for path in self._paths:
                self._fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except BaseException:
            close_all(self._fds)
            raise
        return self._fds

    def __exit__(self, *_: object) -> None:
        close_all(self._fds)


def to_null(numbers: Iterable[int]) -> None:
    """Make these descriptors /dev/null."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


def write(path: str, text: str, directory: int | None = None) -> None:
    """Write into a file that is there; a relative path is one below `directory`."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def set_title(title: str) -> None:
    """Overwrite what `ps` shows as this process's command line; at most as long as it was."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = title.encode()
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(text[: end - start - 1].ljust(end - start, b"\0"))
    write("/proc/self/comm", title[:15])


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
