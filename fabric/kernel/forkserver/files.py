"""Descriptors that children get, and small files of the kernel's."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def to_null(numbers: Iterable[int]) -> None:
    """Make these descriptors /dev/null."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
