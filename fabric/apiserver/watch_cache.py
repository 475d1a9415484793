"""The watch cache holds the objects of one resource and the latest changes to them.

A `WatchCache` changes only by `apply`, in the order of the store's revisions. Its ring of changes is
bounded by their number and by the bytes of their objects: a watcher holds no queue of its own but a position
in the ring, and one that falls out of it is told so (410 Gone). An item is serialised once, whoever asks how
often. A kubelet's watch, on the pods of one node, hears of those alone, as by kube-apiserver's index: a
change costs the same with 10 nodes or 100.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import orjson

from fabric.api.objects import Object
from fabric.control.client import WatchEvent
from fabric.store.keyspace import bounds

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

CHANGES_MAX = 10_000
"""How many changes of one resource are remembered for watchers."""
CHANGES_BYTES_MAX = 64 << 20
"""Bytes in the store of these changes' objects: 10,000 of the largest that etcd takes would be 15 GB."""
PORTION_BYTES = 1 << 20
"""Bytes in the store of the changes that a watcher takes at once: it holds them while its client reads."""


class Item:
    """An object at a revision; `obj` carries the revision as its resourceVersion."""

    __slots__ = ("_data", "_events", "key", "obj", "revision", "stored_bytes")

    def __init__(self, key: str, obj: Object, revision: int, stored_bytes: int) -> None:
        self.key = key
        """`namespace/name`, or the name alone."""
        self.obj = versioned(obj, revision)
        self.revision = revision
        self.stored_bytes = stored_bytes
        self._data: bytes | None = None
        self._events: dict[EventType, tuple[WatchEvent, bytes]] = {}

    def event(self, type_: EventType) -> tuple[WatchEvent, bytes]:
        """The watch event with this item in it and the item's JSON, the same for all watchers."""
        sent = self._events.get(type_)
        if sent is None:
            sent = self._events[type_] = WatchEvent(type_, self.obj), self.data
        return sent

    @property
    def data(self) -> bytes:
        """The object as JSON, made at the first use."""
        if self._data is None:
            self._data = orjson.dumps(self.obj)
        return self._data


def versioned(obj: Object, revision: int) -> Object:
    """The object with that resourceVersion; shares everything else with it."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}


class Change:
    """A write to an object: its state before and after, either of which may be missing."""

    __slots__ = ("_last", "new", "nodes", "old", "revision")

    def __init__(self, revision: int, old: Item | None, new: Item | None) -> None:
        self.revision = revision
        self.old = old
        self.new = new
        self.nodes = frozenset((_node_of(old), _node_of(new)))
        """Those that the pod was and is bound to, an empty name for none."""
        self._last: Item | None = None

    @property
    def last(self) -> Item:
        """The old object at the revision of its deletion, as a DELETED event shows it."""
        if self._last is None:
            assert self.old is not None
            self._last = Item(self.old.key, self.old.obj, self.revision, self.old.stored_bytes)
        return self._last

    @property
    def stored_bytes(self) -> int:
        """Bytes that the change alone keeps: an older state is the newer one of the change before."""
        item = self.new or self.old
        return item.stored_bytes if item is not None else 0


class CacheWatcher:
    """The wait of one watch: woken by a change that its selectors show, and moved past any other change."""

    __slots__ = ("_future", "_latest", "_start", "interested", "node", "position")

    def __init__(
        self,
        interested: Callable[[Change], bool],
        position: int,
        latest: Callable[[], int],
        node: str | None = None,
    ) -> None:
        """`latest`: the revision of the latest change. `node`: of no other node's pods will it be told."""
        self.interested = interested
        self.node = node
        self._latest = latest
        self._start = self.position = position
        """The watcher has seen, or need not see, all changes up to this revision."""
        self._future: asyncio.Future[bool] | None = None

    async def wait(self, seconds: float) -> bool:
        """Wait until woken; False when that did not come in `seconds`."""
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        timer = loop.call_later(seconds, self._expire)
        try:
            return await self._future
        finally:
            timer.cancel()

    def hear(self, change: Change) -> None:
        """Take notice of a change while waiting; a watch that is sending finds it in the ring."""
        if self._future is None or self._future.done() or change.revision <= self._start:
            return
        if self._is_interested(change):
            # Nothing was shown since the wait began; what was passed over may be of the same revision.
            self.position = change.revision - 1
            self._wake(True)
        else:
            self.position = max(self.position, change.revision)

    def _is_interested(self, change: Change) -> bool:
        """True also when the selector raises: the watch meets the error then, not the cacher."""
        try:
            return self.interested(change)
        except Exception:
            return True

    def _expire(self) -> None:
        """Wake the watcher, which nothing that happened meanwhile concerned."""
        if self._future is not None and not self._future.done():
            self.position = max(self.position, self._latest())
            self._wake(False)

    def ring(self) -> None:
        """Wake the watcher, whatever happened."""
        self._wake(True)

    def _wake(self, rung: bool) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(rung)


class WatchCache:
    """All objects of one resource, in key order, and its ring of changes."""

    def __init__(self, revision: int = 0) -> None:
        self._items: dict[str, Item] = {}
        self._keys: list[str] = []
        self._changes: deque[Change] = deque()
        self._changes_bytes = 0
        self._forgotten = revision
        self._watchers: set[CacheWatcher] = set()
        self._of_node: dict[str, set[CacheWatcher]] = {}
        self.revision = revision
        """The revision of the latest change here."""

    def get(self, key: str) -> Item | None:
        return self._items.get(key)

    def __len__(self) -> int:
        return len(self._items)

    def items(self, prefix: str = "", start_after: str = "") -> Iterator[Item]:
        """Items whose key starts with `prefix`, in key order, after `start_after`; not safe over an await."""
        for at in range(*bounds(self._keys, prefix, start_after)):
            yield self._items[self._keys[at]]

    def count(self, prefix: str, start_after: str) -> int:
        """The number of items that `items` would yield."""
        start, end = bounds(self._keys, prefix, start_after)
        return end - start

    def apply(self, key: str, obj: Object | None, revision: int, stored_bytes: int) -> None:
        """Take the object that the store has at `revision` (None: deleted); older news is ignored."""
        old = self._items.get(key)
        if revision <= (old.revision if old else 0) or (old is None and obj is None):
            return
        new = None if obj is None else Item(key, obj, revision, stored_bytes)
        if new is None:
            del self._items[key]
            del self._keys[bisect_left(self._keys, key)]
        else:
            if old is None:
                insort(self._keys, key)
            self._items[key] = new
        self._remember(Change(revision, old, new))

    def _remember(self, change: Change) -> None:
        self._changes.append(change)
        self._changes_bytes += change.stored_bytes
        self.revision = change.revision
        self._forget_beyond_bounds()
        for watcher in self._watchers:
            watcher.hear(change)
        if self._of_node:
            for node in change.nodes:
                for watcher in self._of_node.get(node, ()):
                    watcher.hear(change)

    def _forget_beyond_bounds(self) -> None:
        """Drop the oldest changes that are too much, and keep the latest whatever its size."""
        changes = self._changes
        while len(changes) > CHANGES_MAX or (self._changes_bytes > CHANGES_BYTES_MAX and len(changes) > 1):
            oldest = changes.popleft()
            self._changes_bytes -= oldest.stored_bytes
            self._forgotten = oldest.revision

    @property
    def oldest(self) -> int:
        """The oldest revision that a watch can start after."""
        return self._forgotten

    def changes_after(self, revision: int) -> list[Change]:
        """The remembered changes after `revision`, oldest first: whole revisions, a portion at once."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found[: _portion(found)]

    def forget(self, revision: int) -> None:
        """Drop the ring and end all positions before `revision`: what happened up to it is not known."""
        self._changes.clear()
        self._changes_bytes = 0
        self._forgotten = self.revision = revision
        self.ring_all()

    def ring_all(self) -> None:
        for watchers in (self._watchers, *self._of_node.values()):
            for watcher in watchers:
                watcher.ring()

    def attach(self, watcher: CacheWatcher) -> None:
        if watcher.node is None:
            self._watchers.add(watcher)
        else:
            self._of_node.setdefault(watcher.node, set()).add(watcher)

    def detach(self, watcher: CacheWatcher) -> None:
        self._watchers.discard(watcher)
        if watcher.node is not None:
            rest = self._of_node.get(watcher.node, set())
            rest.discard(watcher)
            if not rest:
                self._of_node.pop(watcher.node, None)


def _portion(changes: Sequence[Change]) -> int:
    """The number of changes at the beginning that are a portion, one at least."""
    size = 0
    for count, (change, following) in enumerate(pairwise(changes), start=1):
        size += change.stored_bytes
        if size >= PORTION_BYTES and following.revision > change.revision:
            return count
    return len(changes)


def _node_of(item: Item | None) -> str:
    """The node that a pod is bound to."""
    spec = item.obj.get("spec") if item is not None else None
    return spec.get("nodeName") or "" if isinstance(spec, dict) else ""
