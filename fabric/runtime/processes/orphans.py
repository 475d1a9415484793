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
_PAUSE_NAMES = ("catatonit", "fabric-zygote")


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
    """Kill pause processes that no record names, on the node with this init; return the pids.

    One that its zygote has just forked has neither the mark nor the program yet, but its zygote's name.
    """
    named = {pid for pid, _ in records.named()}
    ended = []
    for pid in _children(node):
        if pid not in named and _is_pause(pid):
            ended.append(pid)
            _kill(pid)
    return ended


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _is_pause(pid: int) -> bool:
    """Whether it is PID 1 of its own namespace, and has a name that pause processes have."""
    try:
        with open(f"/proc/{pid}/status") as file:
            words = {line.split()[0]: line.split()[-1] for line in file if line[:5] in ("Name:", "NSpid")}
    except OSError:
        return False
    return words["NSpid:"] == "1" and words["Name:"] in _PAUSE_NAMES


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
