"""Keys that wait for work, each at most once, with client-go's contract.

A key is *dirty* from `add` until somebody takes it, and *processing* from then until `done`. A key that
is added while it is processed waits for `done` and is queued again after it, so that a key is
never worked on by two at once and no change is ever missed. Memory is bounded by the number
of different keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """First in, first out; as client-go's delaying queue."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K) -> None:
        """Queue the key; one that already waits is not queued twice."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add the key when `seconds` of loop time have passed; of several such times the earliest wins."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._add_delayed, key)

    async def get(self) -> K:
        """Wait for a key and take it; the taker must call `done` with it, whatever happens."""
        key = await self._ready.get()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that the work on the key has ended; it is queued again if it was added meanwhile."""
        self._processing.discard(key)
        if key in self._dirty:
            self._ready.put_nowait(key)

    def __len__(self) -> int:
        """Keys that are ready to be taken; those that wait for their time or for `done` do not count."""
        return self._ready.qsize()

    def _add_delayed(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
