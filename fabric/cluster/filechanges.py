"""Changes of a file by its name are told by inotify: whoever replaces it renames another over it.

Where Linux has no inotify instance to give (fs.inotify.max_user_instances), it is looked at every 0.3 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.3
SLOW_SECONDS = 30.0
"""The file is looked at this often whatever inotify says."""
_MOVED_TO, _CREATE, _CLOSE_WRITE = 0x80, 0x100, 0x8
_READ_BYTES = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class FileChanges:
    """An alarm that rings when something in a file's folder was written, or moved there."""

    def __init__(self, is_told: bool) -> None:
        self._rang = asyncio.Event()
        self._seconds = SLOW_SECONDS if is_told else POLL_SECONDS

    def ring(self) -> None:
        self._rang.set()

    async def wait(self) -> None:
        """Wait until there is a reason to look at the file again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._rang.wait()
        self._rang.clear()


@contextmanager
def following(path: Path) -> Iterator[FileChanges]:
    """Follow a file in the running event loop."""
    descriptor = _inotify(path.parent)
    changes = FileChanges(is_told=descriptor >= 0)
    if descriptor < 0:
        yield changes
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, _reader(descriptor, path.name, changes.ring))
    try:
        yield changes
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _inotify(folder: Path) -> int:
    """Return a descriptor that tells of a folder, or -1."""
    descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return -1
    if _libc.inotify_add_watch(descriptor, os.fsencode(folder), _MOVED_TO | _CREATE | _CLOSE_WRITE) < 0:
        os.close(descriptor)
        return -1
    return descriptor


def _reader(descriptor: int, name: str, ring: Callable[[], None]) -> Callable[[], None]:
    def ready() -> None:
        with contextlib.suppress(BlockingIOError):
            if os.fsencode(name) + b"\0" in os.read(descriptor, _READ_BYTES):
                ring()

    return ready
