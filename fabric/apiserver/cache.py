"""All of `/registry` in this process's memory, kept by one watch on the store.

What the cache holds is the store at one revision. A writer waits until the cache has reached its
write, so that who wrote can read it. A store that forgot the revision (compaction while cut off) is read
anew, and watchers are told to relist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Object
from fabric.apiserver.collections import Collection
from fabric.errors import Compacted, ServerUnavailable, StoreUnavailable
from fabric.store.port import KeyValue, Store, StoreEvent

ROOT = "/registry/"
PAGE = 500
REACH_SECONDS_MAX = 10.0
RETRY_SECONDS = 0.2


def prefix_of(kind: Kind) -> str:
    """Where the objects of a kind stand in the store, for all versions of its group."""
    return f"{ROOT}{kind.group}/{kind.plural}/" if kind.group else f"{ROOT}{kind.plural}/"


def object_key(kind: Kind, namespace: str, name: str) -> str:
    """The key within the kind's collection."""
    return f"{namespace}/{name}" if kind.namespaced else name


class WatchCache:
    """Collections by resource; `start` fills them, `run` keeps them."""

    def __init__(self, store: Store, kinds: KindTable) -> None:
        self._store = store
        self._kinds = kinds
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
        page = await self._store.range(ROOT, limit=PAGE)
        found, revision = list(page.kvs), page.revision
        while page.more:
            page = await self._store.range(ROOT, start_after=found[-1].key, limit=PAGE, revision=revision)
            found.extend(page.kvs)
        return found, revision

    async def run(self) -> None:
        """Follow the store for ever; a lost store is waited for."""
        while True:
            try:
                async for batch in self._store.watch(ROOT, from_revision=self.revision + 1):
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
        prefix, name = self._split(key)
        obj = None if value is None else self._written.pop(value, None) or orjson.loads(value)
        self._collection(prefix).apply(name, obj, revision)

    def _split(self, key: str) -> tuple[str, str]:
        """The collection's prefix and the key in it: core resources have no group before them."""
        first, _, rest = key[len(ROOT) :].partition("/")
        if self._kinds.by_resource("", "v1", first) is not None:
            return f"{ROOT}{first}/", rest
        plural, _, name = rest.partition("/")
        return f"{ROOT}{first}/{plural}/", name

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
        kept = {kv.key for kv in found}
        for prefix, collection in self._collections.items():
            for key in [item.key for item in collection.items() if prefix + item.key not in kept]:
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

    async def reached(self, revision: int) -> None:
        """Return once the cache holds the store at `revision` or later; ServerUnavailable after 10 s."""
        if self.revision >= revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, waiter))
        try:
            async with asyncio.timeout(REACH_SECONDS_MAX):
                await waiter
        except TimeoutError:
            raise ServerUnavailable(
                f"the store's watch did not reach revision {revision} within "
                f"{REACH_SECONDS_MAX:.0f} s; try again"
            ) from None

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
