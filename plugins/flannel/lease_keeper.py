"""Holding this node's lease: acquired, renewed an hour before its end, acquired anew when lost.

A lease is lost when the book no longer shows it as we wrote it: somebody deleted or changed the key, or it
expired while the store was away. (flanneld exits then and hopes to be restarted; here it is one more
thing that is not as it should be.)
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

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
RENEW_RETRY_SECONDS = 60.0
ACQUIRE_RETRY_SECONDS = 1.0

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
        self.last_error = ""
        """Why there is no lease, or why it could not be renewed; empty when all is well."""
        self._lost = asyncio.Event()
        self._lost.set()
        self._renew_at = 0.0

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
            self._lost.set()

    async def run(self) -> None:
        """Get and keep the lease, for ever."""
        while True:
            await self._sleep_until_renewal()
            try:
                if self._lost.is_set():
                    await self._acquire_anew()
                else:
                    await self._renew()
            except FabricError as error:
                if self.last_error != str(error):
                    log.warning("%s: lease: %s", self._facts.name, error)
                self.last_error = str(error)
                retry = ACQUIRE_RETRY_SECONDS if self._lost.is_set() else RENEW_RETRY_SECONDS
                self._renew_at = asyncio.get_running_loop().time() + retry
                await asyncio.sleep(ACQUIRE_RETRY_SECONDS)

    async def _acquire_anew(self) -> None:
        if self.held:
            log.warning("%s: lease %s was lost; acquiring anew", self._facts.name, self.held.lease.key)
        await self.acquire()
        # A second node with the same address would take it again and again: not faster than this.
        await asyncio.sleep(ACQUIRE_RETRY_SECONDS)

    async def _renew(self) -> None:
        if self.held is None:
            return
        renewed = await allocation.renew(self._store, self.held)
        if renewed is None:
            self._lost.set()
        else:
            self._hold(renewed)

    def _hold(self, held: Held) -> None:
        self.held = held
        self.last_error = ""
        self._lost.clear()
        self._renew_at = asyncio.get_running_loop().time() + TTL_SECONDS - RENEW_MARGIN_SECONDS
        self._on_change()

    async def _sleep_until_renewal(self) -> None:
        """Until it is time, or the lease is lost. A reservation needs no renewal."""
        reserved = self.held is not None and self.held.reserved
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if reserved else self._renew_at):
                await self._lost.wait()
