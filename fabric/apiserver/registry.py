"""The API without HTTP: verbs on kinds, over one store.

Reads come from the watch cache and writes go through compare-and-swap; a write is answered once the
cache holds it. What a verb means for a kind stands in `preparation`, `deletion` and `strategies`, which
are pure; here is only their order. Objects that come out are shared: never write into them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fabric.api.kinds import NAMESPACE, POD, Kind, KindTable
from fabric.api.objects import Object, resource_version_of
from fabric.api.selectors import EVERYTHING, EVERYTHING_F, FieldSelector, LabelSelector
from fabric.apiserver import admission, bindings, deletion, listing, patches, preparation, watching
from fabric.apiserver.admission import NewObject, Plugin
from fabric.apiserver.cacher import Cacher
from fabric.apiserver.namespaces import INITIAL
from fabric.apiserver.options import DeleteOptions, ListOptions, ListPage, WriteOptions
from fabric.apiserver.refusals import already_exists, not_found
from fabric.apiserver.retention import EventLeases, compact_regularly
from fabric.apiserver.storage_keys import object_key
from fabric.apiserver.strategies import rules_of, strategy_of, warn
from fabric.apiserver.unmarshalling import Undecodable, refused_patch
from fabric.apiserver.watch_cache import Item
from fabric.apiserver.writer import Writer
from fabric.control.client import WatchEvent
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, BadRequest, MethodNotAllowed, NotFound
from fabric.store.port import Store

__all__ = ["DeleteOptions", "ListOptions", "ListPage", "Registry", "WriteOptions"]

NAME_TRIES_MAX = 8
"""How often a generated name is drawn anew when it is taken."""


class Registry:
    """All objects of one cluster. `start` once, then keep `run` running."""

    def __init__(
        self,
        store: Store,
        kinds: KindTable,
        clock: Clock,
        plugins: Sequence[Plugin] = (),
        idle: Mapping[Kind, str] = MappingProxyType({}),
    ) -> None:
        """`plugins` of admission run beside every registry's; `idle`: who writes a kind gets its warning."""
        self.kinds = kinds
        self._idle = idle
        self._plugins = plugins
        self._store = store
        self._clock = clock
        self._cacher = Cacher(store, kinds)
        self._writer = Writer(store, self._cacher, EventLeases(store, clock))

    async def start(self) -> None:
        """Fill the cache and see to the namespaces that every cluster has."""
        for name in INITIAL:
            obj: Object = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
            obj = preparation.new_object(NAMESPACE, "", obj, name, self._clock.now())
            await self._writer.seed(NAMESPACE, name, obj)
        await self._cacher.start()

    async def run(self) -> None:
        """Keep the cache at the store, and the store's history short, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cacher.run(), name="watch cache")
            tasks.create_task(compact_regularly(self._store), name="compaction")

    async def get(
        self, kind: Kind, namespace: str, name: str, *, subresource: str = "", resource_version: str = ""
    ) -> Object:
        """The object as it is now, or at that version or later; NotFound, Timeout for one of the future."""
        _check_subresource(kind, subresource, ("status",))
        await self._cacher.fresh(listing.parse_version(resource_version))
        return self._item(kind, namespace, name).obj

    async def list(self, kind: Kind, namespace: str, options: ListOptions) -> ListPage:
        """The objects selected, in key order, at one revision; Gone for a forgotten revision."""
        return await listing.read_page(self._store, self._cacher, kind, namespace, options)

    async def create(
        self,
        kind: Kind,
        namespace: str,
        obj: Object,
        options: WriteOptions,
        *,
        name: str = "",
        subresource: str = "",
    ) -> Object:
        """Create the object, or act through a subresource of the object `name`."""
        if subresource:
            return await self._act(kind, namespace, name, obj, options, subresource)
        obj = preparation.decoded(kind, obj, options)
        if kind.namespaced:
            namespace = preparation.namespace_of(obj["metadata"], namespace)
        return await self._admit(kind, namespace, name, obj, options)

    async def _admit(
        self, kind: Kind, namespace: str, name: str, obj: Object, options: WriteOptions
    ) -> Object:
        """Create a decoded object if admission lets it in."""
        meta = obj["metadata"]
        new = NewObject(kind, namespace, meta.get("name") or meta.get("generateName", ""), obj)
        for admit in (admission.namespace_lifecycle, *self._plugins):
            await admit(self._cacher, new)
        for _ in range(NAME_TRIES_MAX):
            fresh = preparation.new_object(kind, namespace, obj, name, self._clock.now())
            created = await self._create_once(kind, namespace, fresh, options)
            if created is not None:
                return created
            if meta.get("name") or not meta.get("generateName"):
                break
        raise already_exists(kind, fresh["metadata"]["name"])

    async def _create_once(
        self, kind: Kind, namespace: str, obj: Object, options: WriteOptions
    ) -> Object | None:
        key = object_key(kind, namespace, obj["metadata"]["name"])
        async with self._writer.lock(kind, key):
            if self._cacher.of(kind).get(key) is not None:
                return None
            admitted = await rules_of(kind).admit(self._store, obj, None)
            warn(kind, obj, None, options.warn, self._idle)
            return admitted if options.dry_run else await self._writer.put(kind, key, admitted, expected=0)

    async def _act(
        self, kind: Kind, namespace: str, name: str, obj: Object, options: WriteOptions, subresource: str
    ) -> Object:
        acted_by = bindings.ACTIONS.get(subresource)
        if acted_by is None or not kind.names_same_as(POD):
            raise MethodNotAllowed(f"{kind.group_resource}/{subresource} cannot be created")
        obj = preparation.decoded(acted_by, {**obj, "apiVersion": acted_by.api_version}, options)
        name = name or obj["metadata"].get("name", "")
        if subresource == "eviction":
            await self.delete(kind, namespace, name, bindings.eviction_options(obj, dry_run=options.dry_run))
        else:
            now = self._clock.now()
            await self._rewrite(kind, namespace, name, lambda old: bindings.bound(old, obj, now), options)
        return bindings.DONE

    async def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Object,
        options: WriteOptions,
        *,
        subresource: str = "",
    ) -> tuple[Object, bool]:
        """Replace the object (or its status), or create it where its kind allows that.

        Return it and whether it was created; NotFound, Conflict, Invalid.
        """
        _check_subresource(kind, subresource, ("status", "finalize"))
        if not (obj.get("metadata") or {}).get("name", name):
            raise BadRequest("the object has no name")

        def change(old: Object) -> Object:
            return preparation.changed_object(kind, old, obj, subresource, options)

        while True:
            try:
                return await self._rewrite(kind, namespace, name, change, options), False
            except NotFound:
                if subresource or not strategy_of(kind).creates_on_update:
                    raise
            new = preparation.object_of_put(kind, namespace, name, obj, options)
            with contextlib.suppress(AlreadyExists):  # another request was first
                return await self._admit(kind, namespace, name, new, options), True

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        patch_type: str,
        options: WriteOptions,
        *,
        subresource: str = "",
    ) -> Object:
        """Change the object by a patch, on whatever version it is at unless the patch names one."""
        _check_subresource(kind, subresource, ("status", "finalize"))

        def change(old: Object) -> Object:
            new = patches.patched(kind, old, patch, patch_type)
            try:
                return preparation.changed_object(kind, old, new, subresource, options)
            except Undecodable as error:
                raise refused_patch(patch, error) from error

        return await self._rewrite(kind, namespace, name, change, options)

    async def _rewrite(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object], options: WriteOptions
    ) -> Object:
        """Read, change, compare and swap, until no other write comes between; `change` is pure."""
        key = object_key(kind, namespace, name)
        async with self._writer.lock(kind, key):
            while True:
                item = self._item(kind, namespace, name)
                new = change(item.obj)
                if new is not item.obj:
                    given, new = new, await rules_of(kind).admit(self._store, new, item.obj)
                    warn(kind, given, item.obj, options.warn, self._idle)
                if new is item.obj or options.dry_run:
                    return new
                if "deletionTimestamp" in new["metadata"] and not deletion.is_held(kind, new):
                    written = await self._remove(kind, item, last=new)
                else:
                    written = await self._writer.put(kind, key, new, expected=item.revision)
                if written is not None:
                    return written
                await self._writer.caught_up(kind, item)

    async def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Object:
        """Ask for the deletion: the object as it stays while something holds it, else its last state."""
        key = object_key(kind, namespace, name)
        async with self._writer.lock(kind, key):
            while True:
                item = self._item(kind, namespace, name)
                deletion.check(kind, item.obj, options)
                marked = deletion.plan(kind, item.obj, options, self._clock.now())
                if options.dry_run or marked is item.obj:
                    return marked or item.obj
                if marked is None:
                    written = await self._remove(kind, item, last=item.obj)
                else:
                    written = await self._writer.put(kind, key, marked, expected=item.revision)
                if written is not None:
                    return written
                await self._writer.caught_up(kind, item)

    async def _remove(self, kind: Kind, item: Item, *, last: Object) -> Object | None:
        """Let go of what hangs on the object, then remove it; None when another write came first."""
        left = await rules_of(kind).before_delete(self._store, item.obj)
        return await self._writer.remove(kind, item, last=last, revision=int(resource_version_of(left)))

    async def delete_collection(
        self, kind: Kind, namespace: str, list_options: ListOptions, options: DeleteOptions
    ) -> ListPage:
        """Delete what the options select, and return it as it was."""
        page = await self.list(kind, namespace, list_options)
        for obj in page.items:
            meta = obj["metadata"]
            try:
                await self.delete(kind, meta.get("namespace", ""), meta["name"], options)
            except NotFound:
                continue
        return page

    def watch(
        self,
        kind: Kind,
        namespace: str,
        *,
        resource_version: str,
        label_selector: LabelSelector = EVERYTHING,
        field_selector: FieldSelector = EVERYTHING_F,
        bookmarks: bool = False,
        send_initial_events: bool = False,
    ) -> AsyncIterator[tuple[WatchEvent, bytes]]:
        """Yield changes after a revision with the object's JSON; "" and "0" send the present as ADDED first.

        BadRequest at once for a selector or revision that cannot be; Gone (from the iterator) for one
        that is forgotten.
        """
        listing.check_fields(kind, field_selector)
        after = listing.parse_version(resource_version)
        scope = namespace if kind.namespaced else ""
        return watching.follow(
            self._cacher,
            watching.WatchFilter(kind, scope, label_selector, field_selector),
            after,
            bookmarks=bookmarks,
            initial=send_initial_events or after == 0,
            end_of_initial=send_initial_events and bookmarks,
        )

    def _item(self, kind: Kind, namespace: str, name: str) -> Item:
        item = self._cacher.of(kind).get(object_key(kind, namespace, name))
        if item is None:
            raise not_found(kind, name)
        return item


def _check_subresource(kind: Kind, subresource: str, served: tuple[str, ...]) -> None:
    if subresource and (subresource not in served or subresource not in kind.subresources):
        raise MethodNotAllowed(
            f"the server does not allow this method on {kind.group_resource}/{subresource}"
        )
