"""All objects that are served, in this process's memory, kept by one watch on the store.

What the cache holds is the store at one revision, Kubernetes' kinds and a plugin's alike. A writer waits
until the cache has reached its write, so that who wrote can read it. A store that forgot the revision
(compaction while cut off) is read anew, and watchers are told to relist.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Object, has_plain_metadata
from fabric.apiserver.collections import Collection
from fabric.apiserver.layouts import Layouts, Place, prefix_of
from fabric.apiserver.refusals import too_large_version
from fabric.errors import Compacted, ServerUnavailable, StoreUnavailable
from fabric.store.port import KeyValue, Store, StoreEvent

PAGE = 500
REACH_SECONDS_MAX = 10.0
FRESH_SECONDS_MAX = 3.0
"""As long as kube-apiserver lets a read wait for its revision."""
RETRY_SECONDS = 0.2

_log = logging.getLogger(__name__)


class WatchCache:
    """Collections by resource; `start` fills them, `run` keeps them."""

    def __init__(self, store: Store, kinds: KindTable) -> None:
        self._store = store
        self._layouts = Layouts(kinds)
        self._collections: dict[str, Collection] = {}
        self._written: dict[bytes, Object] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self.revision = 0
        """The store as it was at this revision is what the cache holds."""

    def of(self, kind: Kind) -> Collection:
        """The collection of the kind's resource; an empty one for a kind that has no objects yet."""
        return self._collection(prefix_of(kind))

    def _collection(self, prefix: str) -> Collection:
        found = self._collections.get(prefix)
        if found is None:
            found = self._collections[prefix] = Collection(self._started)
        return found

    _started = 0

    async def start(self) -> None:
        """Read everything; watches can start from here on."""
        self._started = 0
        found, revision = await self._read_all()
        self._started = self.revision = revision
        for kv in found:
            self._take(kv.key, kv.value, kv.mod_revision)
        for collection in self._collections.values():
            collection.forget(revision)

    async def _read_all(self) -> tuple[list[KeyValue], int]:
        found: list[KeyValue] = []
        revision = 0
        for root in self._layouts.roots:
            page = await self._store.range(root, limit=PAGE, revision=revision)
            revision = revision or page.revision
            found.extend(page.kvs)
            while page.more:
                page = await self._store.range(root, start_after=found[-1].key, limit=PAGE, revision=revision)
                found.extend(page.kvs)
        return found, revision

    async def run(self) -> None:
        """Follow the store for ever; a lost store is waited for."""
        while True:
            try:
                async for batch in self._store.watch(self._layouts.watched, from_revision=self.revision + 1):
                    self._apply(batch)
            except StoreUnavailable:
                pass
            except Compacted:
                await self._read_again()
                continue
            await asyncio.sleep(RETRY_SECONDS)

    def _apply(self, batch: Sequence[StoreEvent]) -> None:
        for event in batch:
            kv = event.kv
            self._take(kv.key, kv.value if event.type == "put" else None, kv.mod_revision)
            self.revision = max(self.revision, kv.mod_revision)
        self._wake()

    def _take(self, key: str, value: bytes | None, revision: int) -> None:
        place = self._layouts.place(key)
        if place is not None:
            obj = None if value is None else self._decoded(place, value)
            self._collection(place.layout.prefix).apply(place.name, obj, revision)

    def _decoded(self, place: Place, value: bytes) -> Object | None:
        """What the value says; one that cannot be read is as if it were not there."""
        if (written := self._written.pop(value, None)) is not None:
            return written
        try:
            found = place.layout.decode(value, place.tail)
        except Exception:
            _log.exception("%s%s cannot be read, and is left out", place.layout.prefix, place.tail)
            return None
        return found if found is not None and has_plain_metadata(found) else None

    async def _read_again(self) -> None:
        try:
            found, revision = await self._read_all()
        except (StoreUnavailable, Compacted):
            await asyncio.sleep(RETRY_SECONDS)
            return
        self._collections_replaced(found, revision)
        self.revision = revision
        self._wake()

    def _collections_replaced(self, found: list[KeyValue], revision: int) -> None:
        places = (self._layouts.place(kv.key) for kv in found)
        kept = {(place.layout.prefix, place.name) for place in places if place is not None}
        for prefix, collection in self._collections.items():
            for key in [item.key for item in collection.items() if (prefix, item.key) not in kept]:
                collection.apply(key, None, revision)
        for kv in found:
            self._take(kv.key, kv.value, kv.mod_revision)
        self._started = revision
        for collection in self._collections.values():
            collection.forget(revision)

    def expect(self, value: bytes, obj: Object) -> None:
        """Say what `value` decodes to: spares the decoding when the write comes back by the watch."""
        self._written[value] = obj

    def forget_expected(self, value: bytes) -> None:
        """The write did not happen."""
        self._written.pop(value, None)

    async def fresh(self, revision: int) -> None:
        """Return once a read is at `revision` or later; Timeout when that does not come in 3 s."""
        try:
            await self._reach(revision, FRESH_SECONDS_MAX)
        except TimeoutError:
            raise too_large_version(revision, self.revision) from None

    async def reached(self, revision: int) -> None:
        """Return once the cache holds a write that made `revision`; ServerUnavailable after 10 s."""
        try:
            await self._reach(revision, REACH_SECONDS_MAX)
        except TimeoutError:
            raise ServerUnavailable(
                f"the store's watch did not reach revision {revision} within "
                f"{REACH_SECONDS_MAX:.0f} s; try again"
            ) from None

    async def _reach(self, revision: int, seconds_max: float) -> None:
        if self.revision >= revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = revision, waiter
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(seconds_max):
                await waiter
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def vanished(self, kind: Kind, key: str) -> None:
        """Return once the key is not in the cache; ServerUnavailable after 10 s."""
        while self.of(kind).get(key) is not None:
            await self.reached(self.revision + 1)

    def _wake(self) -> None:
        waiting = []
        for revision, waiter in self._waiters:
            if waiter.done():
                continue
            if revision <= self.revision:
                waiter.set_result(None)
            else:
                waiting.append((revision, waiter))
        self._waiters = waiting
