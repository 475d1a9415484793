"""Retention: Events live one hour, and the store's history five minutes.

Events share store leases by buckets of five minutes, so that a thousand Events cost one lease.
"""

from __future__ import annotations

import asyncio

from fabric.control.clock import Clock
from fabric.errors import FabricError
from fabric.store.port import Store

EVENT_TTL_SECONDS = 3600
BUCKET_SECONDS = 300
COMPACTION_SECONDS = 300


class EventLeases:
    """The lease that an Event written now dies with."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._bucket = -1
        self._lease = 0
        self._granting = asyncio.Lock()

    async def current(self) -> int:
        """A lease that ends between 60 and 65 minutes from now."""
        async with self._granting:
            bucket = int(self._clock.now().timestamp()) // BUCKET_SECONDS
            if bucket != self._bucket:
                self._lease = await self._store.grant(EVENT_TTL_SECONDS + BUCKET_SECONDS)
                self._bucket = bucket
            return self._lease


async def compact_regularly(store: Store) -> None:
    """Forget, for ever, what is older than five to ten minutes; a store that is away is tried again."""
    past = 0
    while True:
        try:
            if past:
                await store.compact(past)
            past = await store.revision()
        except FabricError:
            past = 0
        await asyncio.sleep(COMPACTION_SECONDS)
