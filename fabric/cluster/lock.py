"""A lock file lets one `up` or `down` of a cluster work at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from fabric.cluster.paths import ROOT_MODE, make_folder
from fabric.errors import FabricError

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def held(path: Path, *, seconds_max: float = 60.0) -> Iterator[None]:
    """Hold the lock at `path`; FabricError when somebody else keeps it for longer than `seconds_max`.

    The lock dies with its process, whatever that process has forked: it is a record lock, which belongs
    to a process and not to an open file. Its file is removed when it is let go, so a holder makes sure that
    the file it locked is still the one at the path.
    """
    deadline = time.monotonic() + seconds_max
    while (file := _try(path)) is None:
        if time.monotonic() > deadline:
            raise FabricError(
                f"another fabric up or down of this cluster has been at work for {seconds_max} s"
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether another process holds the lock at `path`."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _try(path: Path) -> int | None:
    make_folder(path.parent, ROOT_MODE)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None
