"""The cacher holds all served objects in memory, a watch cache for each resource, by one watch on the store.

All watch caches are at the same revision of the store, those of Kubernetes' kinds and of a plugin's alike. A
write is answered once the cacher has reached it, so that the client that wrote reads its own write.
A store that forgot the revision (compaction while cut off) is read anew, and watchers are told to relist.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Object, has_plain_metadata
from fabric.apiserver.refusals import too_large_version
from fabric.apiserver.storage_keys import StorageKey, StorageKeys, prefix_of
from fabric.apiserver.watch_cache import WatchCache
from fabric.errors import Compacted, ServerUnavailable, StoreUnavailable
from fabric.store.port import KeyValue, Store, StoreEvent

PAGE = 500
REACH_SECONDS_MAX = 10.0
FRESH_SECONDS_MAX = 3.0
"""As long as kube-apiserver lets a read wait for its revision."""
RETRY_SECONDS = 0.2

_log = logging.getLogger(__name__)


class Cacher:
    """The watch caches by resource; `start` fills them, `run` keeps them up to date."""

    def __init__(self, store: Store, kinds: KindTable) -> None:
        self._store = store
        self._storage_keys = StorageKeys(kinds)
        self._watch_caches: dict[str, WatchCache] = {}
        self._written: dict[bytes, Object] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self.revision = 0
        """The store as it was at this revision is what the cache holds."""

    def of(self, kind: Kind) -> WatchCache:
        """The watch cache of the kind's resource; an empty one for a kind that has no objects yet."""
        return self._watch_cache(prefix_of(kind))

    def _watch_cache(self, prefix: str) -> WatchCache:
        found = self._watch_caches.get(prefix)
        if found is None:
            found = self._watch_caches[prefix] = WatchCache(self._started)
        return found

    _started = 0

    async def start(self) -> None:
        """Read everything; watches can start from here on."""
        self._started = 0
        found, revision = await self._read_all()
        self._started = self.revision = revision
        for kv in found:
            self._take(kv.key, kv.value, kv.mod_revision)
        for watch_cache in self._watch_caches.values():
            watch_cache.forget(revision)

    async def _read_all(self) -> tuple[list[KeyValue], int]:
        found: list[KeyValue] = []
        revision = 0
        for root in self._storage_keys.roots:
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
                async for batch in self._store.watch(
                    self._storage_keys.watched, from_revision=self.revision + 1
                ):
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
        place = self._storage_keys.place(key)
        if place is not None:
            obj = None if value is None else self._decoded(place, value)
            self._watch_cache(place.codec.prefix).apply(place.name, obj, revision, len(value or b""))

    def _decoded(self, place: StorageKey, value: bytes) -> Object | None:
        """The object that the value encodes; None, and a log line, when it cannot be decoded."""
        if (written := self._written.pop(value, None)) is not None:
            return written
        try:
            found = place.codec.decode(value, place.tail)
        except Exception:
            _log.exception("%s%s cannot be read, and is left out", place.codec.prefix, place.tail)
            return None
        return found if found is not None and has_plain_metadata(found) else None

    async def _read_again(self) -> None:
        try:
            found, revision = await self._read_all()
        except (StoreUnavailable, Compacted):
            await asyncio.sleep(RETRY_SECONDS)
            return
        self._replace_all(found, revision)
        self.revision = revision
        self._wake()

    def _replace_all(self, found: list[KeyValue], revision: int) -> None:
        places = (self._storage_keys.place(kv.key) for kv in found)
        kept = {(place.codec.prefix, place.name) for place in places if place is not None}
        for prefix, watch_cache in self._watch_caches.items():
            for key in [item.key for item in watch_cache.items() if (prefix, item.key) not in kept]:
                watch_cache.apply(key, None, revision, 0)
        for kv in found:
            self._take(kv.key, kv.value, kv.mod_revision)
        self._started = revision
        for watch_cache in self._watch_caches.values():
            watch_cache.forget(revision)

    def expect(self, value: bytes, obj: Object) -> None:
        """Note what `value` decodes to, which spares the decoding when the write comes back by the watch."""
        self._written[value] = obj

    def forget_expected(self, value: bytes) -> None:
        """Drop the note of `expect`: the write did not happen."""
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
