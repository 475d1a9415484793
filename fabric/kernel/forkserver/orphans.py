"""Processes that the runtime started and was killed before it wrote them down.

Each of them holds a file of the records' directory open as its standard input or output: the mark of a
pause process, or the FIFO of a container. They are ended: whoever asked for them asks again.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Identity = tuple[int, int]

_NONE = (0, 0)


def end_holders(paths: Iterable[str]) -> list[int]:
    """Kill every process that has one of these files as descriptor 0 or 1, remove the files; return pids."""
    wanted = {path: _identity(path) for path in paths}
    identities = set(wanted.values()) - {_NONE}
    pids = [pid for pid in _pids() if any(_identity(f"/proc/{pid}/fd/{fd}") in identities for fd in (0, 1))]
    for pid in pids if wanted else []:
        os.kill(pid, signal.SIGKILL)
    for path in wanted:
        os.unlink(path)
    return pids if wanted else []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)
    except OSError:
        return _NONE
    return (status.st_dev, status.st_ino)
