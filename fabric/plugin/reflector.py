"""A reflector follows the keys below one prefix of the store: a list, then each change, for ever.

A process has one for each prefix, however many agents read it. When the store has forgotten the revision that
a watch would go on from, the keys are listed again and compared, so that nothing is missed; an outage leaves
what is known as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from fabric.control import parking
from fabric.control.backoff import Backoff
from fabric.control.loop import Loop
from fabric.errors import Compacted
from fabric.store.port import KeyValue, Store, StoreEvent

BACKOFF = Backoff(0.1, 5.0)
AGAIN_SECONDS = 0.1
"""A watch that the store ended without a word is taken up again after so long."""

KEYS_TOLD_MAX = 5

log = logging.getLogger(__name__)

OnChange = Callable[[Collection[str]], None]
"""Told of the keys that changed: none of them when only the revision is newer."""


class Reflector:
    """The keys below one prefix, as of one revision; `run` keeps them so."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.prefix = prefix
        self.kvs: dict[str, KeyValue] = {}
        """By key; whoever reads it must not write into it."""
        self.revision = 0
        """All changes up to it are in `kvs`; 0 before the first list."""
        self._store = store
        self._followers: dict[object, OnChange] = {}
        self._loop = Loop(f"reflector of {prefix}", self._list_and_watch, backoff=BACKOFF)
        self._must_list = True

    @property
    def last_error(self) -> str:
        """The reason for which the store cannot be followed now, or empty."""
        return self._loop.last_error

    def follow(self, who: object, on_change: OnChange) -> None:
        """Call `on_change` after each list and change until `leave(who)`, and now if there is a list.

        What an exception in it cannot digest is parked: logged, and told again with the keys' next change.
        """
        self._followers[who] = on_change
        if self.revision:
            on_change(self.kvs.keys())

    def leave(self, who: object) -> None:
        self._followers.pop(who, None)

    async def run(self) -> None:
        """Follow the store for ever; a refusal is retried after 0.1 s, doubling to 5 s."""
        await self._loop.run()

    async def _list_and_watch(self) -> float:
        if self._must_list:
            await self._list()
        else:
            await self._store.revision()
        self._loop.is_well()
        try:
            async for batch in self._store.watch(self.prefix, from_revision=self.revision + 1):
                if batch:
                    self._take(batch)
        except Compacted:
            self._must_list = True
            return 0.0
        return AGAIN_SECONDS

    async def _list(self) -> None:
        found = await self._store.range(self.prefix)
        now = {kv.key: kv for kv in found.kvs}
        changed = {key for key, kv in now.items() if _revision(self.kvs.get(key)) != kv.mod_revision}
        changed |= self.kvs.keys() - now.keys()
        self.kvs, self._must_list = now, False
        self._turn(found.revision, changed)

    def _take(self, batch: Sequence[StoreEvent]) -> None:
        for event in batch:
            if event.type == "put":
                self.kvs[event.kv.key] = event.kv
            else:
                self.kvs.pop(event.kv.key, None)
        self._turn(batch[-1].kv.mod_revision, {event.kv.key for event in batch})

    def _turn(self, revision: int, changed: Collection[str]) -> None:
        self.revision = revision
        for on_change in tuple(self._followers.values()):
            try:
                on_change(changed)
            except Exception as bug:
                parking.park(log, f"reflector of {self.prefix}", sorted(changed)[:KEYS_TOLD_MAX], bug)


class ReflectorView:
    """A view is what a plugin reads out of a reflector's keys, for all agents of a process."""

    def __init__(self, reflector: Reflector) -> None:
        self._reflector = reflector
        self._followers: dict[object, Callable[[], None]] = {}

    @property
    def last_error(self) -> str:
        """The reason for which the store cannot be followed now, or empty."""
        return self._reflector.last_error

    def follow(self, who: object, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change, until `leave(who)`."""
        self._followers[who] = on_change

    def leave(self, who: object) -> None:
        self._followers.pop(who, None)

    def tell(self) -> None:
        """Call all who follow."""
        for on_change in tuple(self._followers.values()):
            on_change()


class Reflectors:
    """The reflectors of a process, one for each prefix that is asked for, and the owner of their tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reflectors: dict[str, Reflector] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def of(self, prefix: str) -> Reflector:
        """Return the reflector of that prefix; the same prefix gives the same one."""
        if prefix not in self._reflectors:
            self._reflectors[prefix] = Reflector(self._store, prefix)
            self._start(self._reflectors[prefix])
        return self._reflectors[prefix]

    async def run(self) -> None:
        """Run them all, also those that are asked for later, until cancelled or a bug ends one."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                for reflector in self._reflectors.values():
                    self._start(reflector)
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    def _start(self, reflector: Reflector) -> None:
        if self._tasks is not None:
            self._tasks.create_task(reflector.run(), name=f"reflector of {reflector.prefix}")


def _revision(kv: KeyValue | None) -> int:
    return kv.mod_revision if kv else 0
