"""A mirror is the controller that writes Kubernetes' objects of one kind into Calico's datastore.

It watches both: an object that changes is written as its resource, and a resource that somebody else changed
or deleted is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import Generic, TypeVar

from calico.resources import datastore
from calico.resources.envelope import Resource
from calico.resources.table import kind_of, parse_key, prefix
from fabric.api.objects import Key, Object
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.informer import Informer
from fabric.errors import NotFound
from fabric.plugin.reflector import Reflector
from fabric.store.port import Store

R = TypeVar("R", bound=Resource)


class Mirror(Generic[R]):
    """The controller that keeps a resource of one of Calico's kinds for each object of a Kubernetes kind."""

    def __init__(
        self,
        resource_type: type[R],
        informer: Informer,
        name: Callable[[Key], Key],
        source: Callable[[Key], Key | None],
        made: Callable[[Object], R],
    ) -> None:
        """`name` gives the resource's key for an object's; `source` is its inverse, None for foreign keys."""
        self._resource_type = resource_type
        self._informer = informer
        self._name = name
        self._source = source
        self._made = made
        self._prefix = prefix(kind_of(resource_type))
        self._controller: Controller[Key] = Controller(f"mirror of {informer.kind}", self._reconcile)

    async def run(self, store: Store, reflector: Reflector, clock: Clock) -> None:
        """Mirror for ever."""
        self._store, self._clock = store, clock
        self._informer.on_change(lambda key, _old, _new: self._controller.queue.add(key))
        await self._informer.synced()
        reflector.follow(self, self._on_keys)
        try:
            await self._controller.run()
        finally:
            reflector.leave(self)

    def _on_keys(self, keys: Collection[str]) -> None:
        for text in keys:
            found = parse_key(text) if text.startswith(self._prefix) else None
            if found is not None and (key := self._source(found[1])) is not None:
                self._controller.queue.add(key)

    async def _reconcile(self, key: Key) -> None:
        await self._informer.synced()
        obj, place = self._informer.get(key), self._name(key)
        if obj is None:
            with suppress(NotFound):
                await datastore.delete(self._store, self._resource_type, place.name, place.namespace)
            return
        await self._write(self._resource_type.from_object(self._made(obj).to_object()), place)

    async def _write(self, wanted: R, place: Key) -> None:
        try:
            found = await datastore.get(self._store, self._resource_type, place.name, place.namespace)
        except datastore.Unreadable:
            await datastore.delete(self._store, self._resource_type, place.name, place.namespace)
            found = None
        if found is None:
            await datastore.create(self._store, wanted, self._clock)
        elif found.spec != wanted.spec:
            await datastore.update(self._store, replace(found, spec=wanted.spec))
