"""A cache of one kind that follows the API: list, then watch from there, for ever.

What the cache says is what the server said last; it may be old, it is never wrong. A watch that ends is
taken up where it stood; after an error (above all 410 Gone) everything is listed again and compared
by key, so that a deletion during the gap is told like any other. No history is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence

from fabric.api.kinds import Kind
from fabric.api.objects import Key, Object, key_of, resource_version_of, uid_of
from fabric.control import parking
from fabric.control.backoff import Backoff
from fabric.control.client import Client, ObjectList, WatchEvent
from fabric.control.index import Index
from fabric.control.loop import Loop
from fabric.errors import FabricError

Notify = Callable[[Key, Object | None, Object | None], None]

BACKOFF = Backoff(0.1, 10.0)

log = logging.getLogger(__name__)


class Informer:
    """The objects of one kind (and of one selection), by key and by index.

    Whoever gets an object from it must not write into it: it is shared by the whole process.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.kind = kind
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._objects: dict[Key, Object] = {}
        self._indexes: dict[str, Index] = {}
        self._handlers: list[Notify] = []
        self._synced = asyncio.Event()
        self._resource_version = ""
        self._loop = Loop(f"informer of {kind}", self._list_and_watch, backoff=BACKOFF)
        self._empty_watches = 0
        """Watches in a row that ended soon and told nothing."""

    def get(self, key: Key) -> Object | None:
        """The object in the cache, or None."""
        return self._objects.get(key)

    def __len__(self) -> int:
        return len(self._objects)

    def items(self) -> Iterable[Object]:
        """All objects of the cache as they are now, in no order."""
        return tuple(self._objects.values())

    def add_index(self, name: str, of: Callable[[Object], Iterable[Hashable]]) -> None:
        """Let objects be found by `of(object)`; objects already there are indexed at once.

        A name belongs to one function: the same again does nothing, another one is a ValueError.
        """
        known = self._indexes.get(name)
        if known is not None:
            if known.of != of:
                raise ValueError(f"index {name} of {self.kind} is already by another function")
            return
        index = self._indexes[name] = Index(of)
        for key, obj in self._objects.items():
            index.replace(key, None, obj)

    def by_index(self, name: str, value: Hashable) -> Sequence[Object]:
        """The objects for which the index's function gave `value`."""
        return [self._objects[key] for key in self._indexes[name].keys_of(value)]

    def count(self, name: str, value: Hashable) -> int:
        """Return how many objects `by_index` would give, at no cost of their number."""
        return len(self._indexes[name].keys_of(value))

    def on_change(self, notify: Notify) -> None:
        """Call `notify(key, old, new)` on each change: None is absence. It names a key, and decides nothing.

        Objects already there are told at once as new. Must not block; what an exception in it cannot digest
        is parked: logged, and told again with the object's next change.
        """
        self._handlers.append(notify)
        for key, obj in tuple(self._objects.items()):
            self._tell(notify, key, None, obj)

    async def synced(self) -> None:
        """Wait until the first list is in the cache and was told to the handlers."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the API for ever; every FabricError is retried with a delay that doubles to 10 s."""
        await self._loop.run()

    async def _list_and_watch(self) -> float:
        """List where nothing is known, and take in one watch; return when to watch again."""
        try:
            if not self._resource_version:
                self._replace(await self._list())
            return await self._follow()
        except FabricError:
            self._resource_version = ""
            raise

    async def _list(self) -> ObjectList:
        return await self._client.list(
            self.kind,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )

    def _replace(self, listed: ObjectList) -> None:
        present = {key_of(obj): obj for obj in listed.items}
        for key in self._objects.keys() - present.keys():
            self._store(key, None)
        for key, obj in present.items():
            self._store(key, obj)
        self._resource_version = listed.resource_version
        self._synced.set()

    async def _follow(self) -> float:
        """Take in one watch until it ends; one that ends at once again is not asked for again at once."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        events = self._client.watch(
            self.kind,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        async for event in events:
            self._is_well()
            self._take(event)
        if loop.time() - start > BACKOFF.seconds_max:
            self._is_well()
        self._empty_watches += 1
        return BACKOFF.seconds(self._empty_watches - 1) if self._empty_watches > 1 else 0.0

    def _is_well(self) -> None:
        self._empty_watches = 0
        self._loop.is_well()

    def _take(self, event: WatchEvent) -> None:
        self._resource_version = resource_version_of(event.object)
        if event.type != "BOOKMARK":
            self._store(key_of(event.object), None if event.type == "DELETED" else event.object)

    def _store(self, key: Key, new: Object | None) -> None:
        old = self._objects.get(key)
        if old is None and new is None:
            return
        if old is not None and new is not None:
            if resource_version_of(old) == resource_version_of(new) != "":
                return
            if uid_of(old) != uid_of(new):
                self._store(key, None)
                old = None
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
        for index in self._indexes.values():
            index.replace(key, old, new)
        for notify in self._handlers:
            self._tell(notify, key, old, new)

    def _tell(self, notify: Notify, key: Key, old: Object | None, new: Object | None) -> None:
        try:
            notify(key, old, new)
        except Exception as bug:
            parking.park(log, f"informer of {self.kind}", key, bug)
