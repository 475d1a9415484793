"""Watching: a cursor into the history, and a place to wait when it has caught up.

A watch holds no queue. While it waits it is by definition caught up, so it is woken only for a
revision that has an event under its prefix, and goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from fabric.errors import StoreUnavailable
from fabric.store.history import History
from fabric.store.port import StoreEvent


class Waiters:
    """The futures that wait for the next event under a prefix."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[int]]] = {}
        self._closed = False

    async def next_revision(self, prefix: str) -> int:
        """Wait for the next revision with an event under `prefix`. StoreUnavailable after close."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(prefix, set()).add(future)
        try:
            return await future
        finally:
            self._leave(prefix, future)

    def wake(self, revision: int, events: Sequence[StoreEvent]) -> None:
        hit = [p for p in self._waiting if any(event.kv.key.startswith(p) for event in events)]
        for prefix in hit:
            for future in self._waiting.pop(prefix):
                if not future.done():
                    future.set_result(revision)

    def close(self) -> None:
        self._closed = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(StoreUnavailable("the store is closed"))

    def _leave(self, prefix: str, future: asyncio.Future[int]) -> None:
        futures = self._waiting.get(prefix)
        if futures is not None:
            futures.discard(future)
            if not futures:
                del self._waiting[prefix]


class Watch(AsyncIterator[Sequence[StoreEvent]]):
    """Batches of whole revisions under one prefix, from `revision` on."""

    def __init__(self, history: History, waiters: Waiters, prefix: str, revision: int) -> None:
        self._history = history
        self._waiters = waiters
        self._prefix = prefix
        self._next = revision

    async def __anext__(self) -> Sequence[StoreEvent]:
        while True:
            events, self._next = self._history.since(self._next, self._prefix)
            if events:
                return events
            if self._next > self._history.last:
                woken = await self._waiters.next_revision(self._prefix)
                self._next = max(self._next, woken)
