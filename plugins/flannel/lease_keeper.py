"""The lease keeper holds one node's lease: acquired, renewed an hour before its end, acquired anew when lost.

A lease is lost when the book no longer shows it as we wrote it: somebody deleted or changed the key, or it
expired while the store was away. (flanneld exits then and hopes to be restarted; here it is one more
thing that is not as it should be.)
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path

from fabric.control.backoff import Backoff
from fabric.control.loop import Loop
from fabric.errors import FabricError
from fabric.plugin.contract import NodeFacts
from fabric.store.port import Store
from flannel import allocation, subnet_env
from flannel.allocation import TTL_SECONDS, Held
from flannel.backend import Backend, public_ips
from flannel.lease_book import LeaseBook
from flannel.leases import Lease
from flannel.net_conf import NetConf

RENEW_MARGIN_SECONDS = 3600.0
ACQUIRE_SECONDS = 1.0
"""A second node with the same address would take the lease again and again: not faster than this."""
ACQUIRE, RENEW = Backoff(ACQUIRE_SECONDS, ACQUIRE_SECONDS), Backoff(60.0, 60.0)

log = logging.getLogger(__name__)


class LeaseKeeper:
    """The keeper of one node's lease."""

    def __init__(
        self,
        store: Store,
        conf: NetConf,
        backend: Backend,
        facts: NodeFacts,
        root: Path,
        *,
        on_change: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self.held: Held | None = None
        self._store = store
        self._conf = conf
        self._backend = backend
        self._facts = facts
        self._root = root
        self._on_change = on_change
        self._rng = rng
        self._loop = Loop(f"lease of {facts.name}", self._reconcile, backoff=ACQUIRE)
        self._is_lost = True
        self._renew_at = 0.0

    @property
    def last_error(self) -> str:
        """The reason why there is no lease, or why it could not be renewed; empty when all is well."""
        return self._loop.last_error

    async def acquire(self) -> None:
        """Get the lease once; FabricError when it cannot be had now."""
        public = public_ips(self._conf, self._facts)
        if len(public) < len(self._conf.ranges):
            missing = " and ".join(str(network) for network in self._conf.networks)
            raise FabricError(f"{self._facts.device} lacks an address of the family of {missing}")
        before = await allocation.own_lease(self._store, public[0]) or (self.held and self.held.lease)
        data = self._backend.data(self._conf, before or None, self._rng)
        wanted = Lease((), public, self._backend.type, data)
        env = subnet_env.read(self._root)
        self._hold(
            await allocation.acquire(self._store, self._conf, wanted, env.subnets if env else (), self._rng)
        )

    def judge(self, book: LeaseBook) -> None:
        """Look whether the lease is still ours; wakes `run` when it is not."""
        held = self.held
        if held and book.revision >= held.revision and book.leases.get(held.lease.key) != held.lease:
            self._is_lost = True
            self._loop.trigger()

    async def run(self) -> None:
        """Get and keep the lease, for ever."""
        await self._loop.run()

    async def _reconcile(self) -> float | None:
        """Do what is due, and return how long the lease is good."""
        if not self._is_lost and self.held is not None and self._seconds_left(self.held) == 0:
            self._loop.backoff = RENEW
            await self._renew(self.held)
        if self._is_lost or self.held is None:
            self._loop.backoff = ACQUIRE
            await self._acquire_anew()
        return self._seconds_left(self.held) if self.held and not self._is_lost else 0.0

    async def _acquire_anew(self) -> None:
        if self.held:
            log.warning("%s: lease %s was lost; acquiring anew", self._facts.name, self.held.lease.key)
        await self.acquire()
        await asyncio.sleep(ACQUIRE_SECONDS)

    async def _renew(self, held: Held) -> None:
        renewed = await allocation.renew(self._store, held)
        if renewed is None:
            self._is_lost = True
        else:
            self._hold(renewed)

    def _hold(self, held: Held) -> None:
        self.held = held
        self._is_lost = False
        self._renew_at = asyncio.get_running_loop().time() + TTL_SECONDS - RENEW_MARGIN_SECONDS
        self._on_change()

    def _seconds_left(self, held: Held) -> float | None:
        """Return the time until the renewal; None for a reservation, which needs none."""
        return None if held.reserved else max(0.0, self._renew_at - asyncio.get_running_loop().time())
