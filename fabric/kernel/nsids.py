"""Namespace ids (nsid) as names: a veth's far end is in a namespace that the kernel tells by a number.

A namespace numbers the others that it knows of (RTM_GETNSID). The number of a living namespace does not
change, so an answer holds for as long as the same processes stand behind both names: that of the numbered
one, and that of the one whose numbers they are.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping

from fabric.kernel import netlink
from fabric.kernel.netlink import Request, u32

_RTM_NEWNSID, _RTM_GETNSID = 88, 90
_NETNSA_NSID, _NETNSA_PID = 1, 2


class NamespaceIds:
    """The names of the namespaces that one namespace, `own`, knows by number."""

    def __init__(self, own: str, pids: Mapping[str, int]) -> None:
        self._own = own
        self._pids = pids
        self._seen_from = 0
        self._known: dict[int, tuple[str, int]] = {}
        self._strangers: dict[str, int] = {}
        """Names that had no number here when last asked, with the pid asked about."""

    def names(self, socket: netlink.Socket, ids: Iterable[int]) -> dict[int, str]:
        """Return the name of each id; an id of a namespace outside the cluster is left out."""
        wanted = set(ids)
        seen_from = self._pids.get(self._own, 0)
        if seen_from != self._seen_from:
            self._known, self._strangers, self._seen_from = {}, {}, seen_from
        self._known = {id: held for id, held in self._known.items() if self._pids.get(held[0]) == held[1]}
        if not wanted <= self._known.keys():
            self._ask(socket, [name for name in self._unasked() if name not in self._strangers])
        if not wanted <= self._known.keys():
            self._strangers.clear()
            self._ask(socket, self._unasked())
        return {id: self._known[id][0] for id in wanted if id in self._known}

    def _unasked(self) -> list[str]:
        known = {name for name, _ in self._known.values()}
        return [name for name in list(self._pids) if name not in known]

    def _ask(self, socket: netlink.Socket, names: list[str]) -> None:
        held = [(name, pid) for name in names if (pid := self._pids.get(name))]
        questions = [Request(_RTM_GETNSID, 0, _of(pid)) for _, pid in held]
        for (name, pid), answer in zip(held, socket.ask(questions), strict=True):
            if isinstance(answer, OSError):
                continue
            id = _id_in(answer[1])
            if id >= 0:
                self._known[id] = (name, pid)
            else:
                self._strangers[name] = pid


def numbered(socket: netlink.Socket, pid: int, id: int) -> int:
    """Give the namespace of a process this number, and return it, or the one that it has already."""
    (refused,) = socket.change([Request(_RTM_NEWNSID, 0, _of(pid) + u32(_NETNSA_NSID, id))])
    if refused is None:
        return id
    if refused.errno != errno.EEXIST:
        raise refused
    (answer,) = socket.ask([Request(_RTM_GETNSID, 0, _of(pid))])
    if isinstance(answer, OSError):
        raise answer
    return _id_in(answer[1])


def _of(pid: int) -> bytes:
    return b"\0\0\0\0" + u32(_NETNSA_PID, pid)


def _id_in(answer: bytes) -> int:
    return int(struct.unpack("=i", netlink.attributes(answer, 4)[_NETNSA_NSID])[0])
