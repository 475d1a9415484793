"""A process holds its own namespaces by descriptors, to visit others and to come back."""

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


class OwnNamespaces:
    """The namespaces that the process is in now: whatever it enters `with` this, it is back in them after."""

    def __init__(self) -> None:
        self._own = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            for name, flag in _KINDS.items():
                linux.setns(self._own[name], flag)
        except OSError as error:
            raise SystemExit("the process cannot go back to its own namespaces") from error
