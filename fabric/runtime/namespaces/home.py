"""A process's own namespaces, each held by a descriptor, and the way back to them."""

from __future__ import annotations

import os

from fabric.runtime.processes import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_KINDS = {
    "mnt": linux.CLONE_NEWNS,
    "net": linux.CLONE_NEWNET,
    "uts": linux.CLONE_NEWUTS,
    "ipc": linux.CLONE_NEWIPC,
    "pid_for_children": linux.CLONE_NEWPID,
}


class Home:
    """Those of this moment. Whatever is entered `with` it, the process is home again after."""

    def __init__(self) -> None:
        self._home = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            for name, flag in _KINDS.items():
                linux.setns(self._home[name], flag)
        except OSError as astray:
            raise RuntimeError("the process cannot go back to its own namespaces") from astray
