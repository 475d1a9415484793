"""Orphans are processes of a runtime that was killed before it wrote their records.

Each process has a file of the records' directory as its standard input or output: a container its FIFOs, by
which it is known, and all others one mark. What no record names is ended: the client
asks again.
"""

from __future__ import annotations

import os
import signal

from fabric.runtime.processes.process import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fabric.runtime.processes.records import Records

    Identity = tuple[int, int]

_NONE = (0, 0)


def end_unnamed(records: Records) -> list[int]:
    """Kill every process that no record names, remove its FIFOs; return the pids."""
    fifos = records.unnamed()
    of_fifos = {_identity(path) for path in fifos} - {_NONE}
    mark = _identity(records.mark_path)
    named = records.named()
    ended = []
    for pid in _pids():
        stdin, stdout = (_identity(f"/proc/{pid}/fd/{fd}") for fd in (0, 1))
        is_marked = stdin == mark != _NONE and (pid, start_time(pid)) not in named
        if is_marked or of_fifos & {stdin, stdout}:
            ended.append(pid)
            _kill(pid)
    for path in fifos:
        os.unlink(path)
    return ended


def end_unnamed_pauses(records: Records, node: int) -> list[int]:
    """Kill pause processes that no record names, on the node with this init; return the pids."""
    mark = _identity(records.mark_path)
    named = {pid for pid, _ in records.named()}
    ended = []
    for pid in _children(node):
        if pid not in named and _identity(f"/proc/{pid}/fd/0") == mark and _is_first(pid):
            ended.append(pid)
            _kill(pid)
    return ended


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _is_first(pid: int) -> bool:
    """Whether it is PID 1 of its own namespace."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in file)
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)
    except OSError:
        return _NONE
    return (status.st_dev, status.st_ino)
