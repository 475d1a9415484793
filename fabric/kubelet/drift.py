"""Drift: a pod's devices, addresses and routes are not as they were attached any more, on its node or in it.

Both namespaces tell of their changes as they happen, so that nothing is read while nothing changes. A word
that differs is a suspicion only: later words on the node may take it back, and what is left is read a moment
later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from fabric.netstate.objects import NetObject, NetState, Sysctl, Veth
from fabric.netstate.plan import diff, matches
from fabric.netstate.port import Host, Medium, Owner

NOTICE_SECONDS = 0.05
"""A change seldom comes alone, and a pod that ends takes its devices along: so long after it, it is read."""


class Drift:
    """The objects that one node must have for each of its pods, and suspicions that some have changed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._wanted: dict[str, NetState] = {}
        self._by_key: dict[Hashable, tuple[str, NetObject]] = {}
        self._suspects: set[Hashable] = set()
        self._suspect_pods: set[str] = set()
        self._is_blind = True
        """True while the namespace does not tell of its changes: before the first read, or after it ended."""
        self._wake: Callable[[], None] = _nothing
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, uid: str, state: NetState) -> None:
        """Set what the node must have for a pod."""
        self.drop(uid)
        self._wanted[uid] = state
        for obj in state:
            self._by_key[obj.key] = (uid, obj)

    def drop(self, uid: str) -> None:
        """Expect nothing for a pod any more."""
        self._suspect_pods.discard(uid)
        for obj in self._wanted.pop(uid, ()):
            if self._by_key.get(obj.key, ("",))[0] == uid:
                del self._by_key[obj.key]
            self._suspects.discard(obj.key)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when `look` has something to do, from the next `look` on; return how to end it."""
        self._wake = wake
        self._is_blind = True
        stop = self._host.watch(self._noticed)

        def end() -> None:
            stop()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return end

    def suspect(self, uid: str) -> None:
        """Note that a pod's own namespace may have changed, and call `wake` a moment later."""
        self._suspect_pods.add(uid)
        self._look_soon()

    def take_suspects(self) -> frozenset[str]:
        """Return the pods whose own namespaces may have changed since the last time."""
        taken = frozenset(self._suspect_pods)
        self._suspect_pods.clear()
        return taken

    async def look(self, uids: Iterable[str]) -> frozenset[str]:
        """Read the node if there is a suspicion, and return those of the pods for which something differs."""
        suspects, self._suspects = self._suspects, set()
        is_blind = self._is_blind
        suspected = {self._by_key[key][0] for key in suspects if key in self._by_key}
        try:
            found = await self.drifted(uid for uid in uids if is_blind or uid in suspected)
            if is_blind:
                await self._host.read(Owner("kubelet", frozenset(), lambda _: False))
                self._is_blind = False
        except BaseException:
            self._suspects |= suspects
            raise
        return found

    async def drifted(self, uids: Iterable[str]) -> frozenset[str]:
        """Read the node once and return those of the pods for which something differs."""
        wanted = {uid: self._wanted[uid] for uid in uids if uid in self._wanted}
        union: NetState = frozenset().union(*wanted.values())
        if not union:
            return frozenset()
        actual = await self._host.read(owner_of(union))
        changed = {step.obj.key for step in diff(union, actual).steps}
        return frozenset(uid for uid, state in wanted.items() if any(obj.key in changed for obj in state))

    def _noticed(self, medium: Medium, obj: NetObject | None, gone: bool) -> None:
        if medium != "netlink":
            return
        if obj is None:
            self._is_blind = True
        elif obj.key not in self._by_key:
            return
        elif gone or not _is_as(self._by_key[obj.key][1], obj):
            self._suspects.add(obj.key)
        else:
            self._suspects.discard(obj.key)
            return
        self._look_soon()

    def _look_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(NOTICE_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._suspects or self._suspect_pods or self._is_blind:
            self._wake()


def owner_of(state: NetState) -> Owner:
    """Return the owner of exactly the objects of `state`, whatever their present value."""
    keys = {obj.key for obj in state}
    return Owner(
        "kubelet",
        frozenset(type(obj) for obj in state),
        lambda obj: obj.key in keys,
        frozenset(obj.path for obj in state if isinstance(obj, Sysctl)),
    )


def _is_as(wanted: NetObject, told: NetObject) -> bool:
    """Compare with what the kernel told, which says nothing of a pair's far end."""
    if isinstance(wanted, Veth) and isinstance(told, Veth):
        told = replace(told, peer=wanted.peer, peer_ns=wanted.peer_ns)
    return matches(wanted, told)


def _nothing() -> None: ...
