"""The lease book is what all nodes know of the cluster: its configuration and every lease at one revision.

A snapshot first, then each change from the next revision on; when the store has forgotten that
revision, a new snapshot. Whoever reads the book compares whole leases: a peer that kept its subnet
but changed its MAC or address while the watch was broken is another lease, and gets replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from fabric.errors import Compacted, FabricError
from fabric.store.port import KeyValue, Store, StoreEvent
from flannel.leases import CONFIG_KEY, PREFIX, SUBNETS, Lease, parse_lease

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 5.0

log = logging.getLogger(__name__)


class LeaseBook:
    """All leases by key. `on_change` is called after each change of content or revision."""

    def __init__(self, store: Store, on_change: Callable[[], None]) -> None:
        self.leases: Mapping[str, Lease] = {}
        """Replaced, never changed: may be kept by whoever reads it."""
        self.config: bytes | None = None
        """net-conf.json as it stands in the store."""
        self.revision = 0
        """All changes up to this revision are in `leases`; 0 before the first snapshot."""
        self.last_error = ""
        self._store = store
        self._on_change = on_change

    async def run(self) -> None:
        """Follow the store for ever; an outage keeps the book as it is, and is retried from 100 ms to 5 s."""
        delay = RETRY_SECONDS
        relist = True
        while True:
            before = self.revision
            try:
                if relist:
                    await self._snapshot()
                    relist = False
                await self._follow()
            except Compacted:
                relist = True
            except FabricError as error:
                log.info("leases: %s", error)
                self.last_error = str(error)
            delay = RETRY_SECONDS if self.revision > before else min(delay * 2, RETRY_SECONDS_MAX)
            await asyncio.sleep(delay)

    async def _snapshot(self) -> None:
        result = await self._store.range(f"{PREFIX}/")
        self.config = None
        leases: dict[str, Lease] = {}
        for kv in result.kvs:
            self._enter(leases, kv, kv.value)
        self._turn(leases, result.revision)

    async def _follow(self) -> None:
        async for batch in self._store.watch(f"{PREFIX}/", from_revision=self.revision + 1):
            self.last_error = ""
            if batch:
                self._enter_all(batch)

    def _enter_all(self, batch: Sequence[StoreEvent]) -> None:
        leases = dict(self.leases)
        for event in batch:
            self._enter(leases, event.kv, event.kv.value if event.type == "put" else None)
        self._turn(leases, batch[-1].kv.mod_revision)

    def _enter(self, leases: dict[str, Lease], kv: KeyValue, value: bytes | None) -> None:
        """Note one key with its value, or None when it is deleted."""
        if kv.key == CONFIG_KEY:
            self.config = value
        elif kv.key.startswith(SUBNETS):
            leases.pop(kv.key, None)
            lease = None if value is None else _lease(kv)
            if lease is not None:
                leases[kv.key] = lease

    def _turn(self, leases: Mapping[str, Lease], revision: int) -> None:
        self.leases = leases
        self.revision = revision
        self.last_error = ""
        self._on_change()


def _lease(kv: KeyValue) -> Lease | None:
    lease = parse_lease(kv.key, kv.value)
    if lease is None:
        log.warning("%s is not a lease of flannel's: %.200r", kv.key, kv.value)
    return lease
