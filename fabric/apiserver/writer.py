"""The one way into the store: compare-and-swap on the object's revision, then wait until it can be read.

Writes to one object queue behind each other in this process, so that a crowd of patches does not
spend itself on conflicts; another process' write in between is still found by the compare.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import orjson

from fabric.api.kinds import EVENT, Kind
from fabric.api.objects import Object
from fabric.apiserver.cacher import Cacher
from fabric.apiserver.retention import EventLeases
from fabric.apiserver.storage_keys import codec_of, prefix_of, store_key
from fabric.apiserver.watch_cache import Item, versioned
from fabric.errors import BadRequest
from fabric.plugin.served import ServedKind
from fabric.store.port import Delete, ModRevision, Put, Store


class Writer:
    """The writer puts and removes objects, and returns each as it now stands."""

    def __init__(self, store: Store, cacher: Cacher, leases: EventLeases) -> None:
        self._store = store
        self._cacher = cacher
        self._leases = leases
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, kind: Kind, key: str) -> asyncio.Lock:
        """Held while one object is read and written back; a plugin's rules compare all objects of a kind."""
        path = prefix_of(kind) if isinstance(kind, ServedKind) else store_key(kind, key)
        found = self._locks.get(path)
        if found is None:
            found = self._locks[path] = asyncio.Lock()
        return found

    async def put(self, kind: Kind, key: str, obj: Object, *, expected: int) -> Object | None:
        """Write over revision `expected` (0: there must be none); None when another write came first."""
        bare = _without_version(obj)
        value = _encoded(kind, bare)
        path = store_key(kind, key)
        lease = await self._leases.current() if kind.names_same_as(EVENT) else 0
        self._cacher.expect(value, bare)
        done = False
        try:
            result = await self._store.txn([ModRevision(path, expected)], [Put(path, value, lease)])
            done = result.succeeded
        finally:
            if not done:
                self._cacher.forget_expected(value)
        if not done:
            return None
        await self._cacher.reached(result.revision)
        item = self._cacher.of(kind).get(key)
        same = item is not None and item.revision == result.revision
        return item.obj if item is not None and same else versioned(bare, result.revision)

    async def seed(self, kind: Kind, key: str, obj: Object) -> None:
        """Create the object before the cache runs, unless another process did."""
        path = store_key(kind, key)
        await self._store.txn([ModRevision(path, 0)], [Put(path, _encoded(kind, _without_version(obj)))])

    async def remove(self, kind: Kind, item: Item, *, last: Object, revision: int) -> Object | None:
        """Delete the object, as of that revision, and return its last state; None when it changed since."""
        path = store_key(kind, item.key)
        result = await self._store.txn([ModRevision(path, revision)], [Delete(path)])
        if not result.succeeded:
            return None
        await self._cacher.reached(result.revision)
        return versioned(last, result.revision)

    async def caught_up(self, kind: Kind, item: Item) -> None:
        """Return once the cache holds what made a compare on this item fail."""
        now = await self._store.get(store_key(kind, item.key))
        if now is not None:
            await self._cacher.reached(now.mod_revision)
        else:
            await self._cacher.vanished(kind, item.key)


def _encoded(kind: Kind, obj: Object) -> bytes:
    try:
        return codec_of(kind).encode(obj)
    except orjson.JSONEncodeError as error:
        raise BadRequest(f"the object cannot be stored as JSON: {error}") from error


def _without_version(obj: Object) -> Object:
    meta = obj["metadata"]
    if "resourceVersion" not in meta:
        return obj
    return {**obj, "metadata": {name: value for name, value in meta.items() if name != "resourceVersion"}}
