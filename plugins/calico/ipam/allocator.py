"""The allocator of one node: it gives the node's pods and tunnels addresses, and takes them back.

All truth is in the store; an `Ipam` may be cut anywhere and made anew. An address is given at most once, and
to whom it was given can always be found by the handle: a caller that was cut asks `addresses` first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from calico.ipam.affinities import BlockTaken, blocks_of, claim, release, release_host
from calico.ipam.blocks import Block, Owner
from calico.ipam.candidates import ANY, NoPool, PoolRequest, pool_of, selects, usable
from calico.ipam.configuration import read_configuration
from calico.ipam.handles import read_handle, settle
from calico.ipam.records import TRIES_MAX, TooBusy, read_block, read_blocks
from calico.ipam.search import Search
from calico.ipam.walk import Reserved, block_of, blocks_in
from calico.ipam.writing import give, take_back
from calico.resources.datastore import Unreadable, listed
from calico.resources.pools import IPPool, IPReservation
from fabric.control.clock import Clock
from fabric.errors import FabricError
from fabric.netstate.objects import Family, IPAddress, IPNetwork
from fabric.store.port import Store


class OutOfAddresses(FabricError):
    """The pools that qualify have no free address for this node; the message says what helps."""


class AddressTaken(FabricError):
    """The wanted address is somebody else's, or not this node's to take."""


class Ipam:
    """Addresses for the pods and tunnels of one node."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        host: str,
        *,
        node_labels: Callable[[], Mapping[str, str]] = dict,
        rng: random.Random | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.host = host
        self._node_labels = node_labels
        self._rng = rng or random.Random()
        self._giving = asyncio.Lock()

    async def auto_assign(
        self, owner: Owner, wish: PoolRequest = ANY, pools: tuple[IPPool, ...] | None = None
    ) -> tuple[IPAddress, ...]:
        """Give the owner `wish.count` addresses, all or none; they are in the store when this returns.

        `pools` are all pools, where the caller has just read them. NoPool, OutOfAddresses, or TooBusy when
        others were faster a hundred times.
        """
        async with self._giving:
            if pools is None:
                pools = await listed(self.store, IPPool)
            search = Search(
                self.store,
                self.clock,
                self._rng,
                self.host,
                self._stamped(owner),
                usable(pools, wish, self._node_labels()),
                await self._reserved(),
                await read_configuration(self.store),
                wish.count,
            )
            await search.run(await self._own_blocks(pools, wish))
            if len(search.found) == wish.count:
                return tuple(search.found)
            await self.release_addresses(search.found, owner.handle)
            raise OutOfAddresses(self._explained(search))

    async def assign(self, address: IPAddress, owner: Owner) -> None:
        """Give the owner this very address; AddressTaken or NoPool when that cannot be.

        A second call for the same handle changes nothing. Reservations do not hold it back, as in Calico.
        """
        pool = pool_of(await listed(self.store, IPPool), address)
        if pool is None:
            raise NoPool(f"{address} is in no enabled IPPool")
        strict = (await read_configuration(self.store)).strict_affinity
        cidr = block_of(pool, address)
        for _ in range(TRIES_MAX):
            record = await read_block(self.store, cidr)
            if record.value is None:
                await self._claim_quietly(cidr)
                continue
            ordinal = record.value.ordinal(address)
            holder = record.value.owner(ordinal)
            if holder is not None and holder.handle is not None and holder.handle == owner.handle:
                return
            self._check_free(record.value, address, holder, strict)
            if await give(self.store, record.value, record.revision, [ordinal], self._stamped(owner)):
                return
        raise TooBusy(f"{address}: {TRIES_MAX} attempts to assign it met others; trying again")

    async def addresses(self, handle: str) -> tuple[IPAddress, ...]:
        """The addresses of the handle, in the order of blocks and addresses."""
        record = await read_handle(self.store, handle)
        found: list[IPAddress] = []
        for cidr in record.value.counts if record.value else ():
            block = (await read_block(self.store, cidr)).value
            found += [block.address(ordinal) for ordinal in block.ordinals_of(handle)] if block else []
        return tuple(found)

    async def handles(self) -> frozenset[str]:
        """The handles that have addresses of this node in its own blocks, as far as these can be read."""
        found: set[str] = set()
        for cidr in await blocks_of(self.store, self.host):
            with suppress(Unreadable):
                block = (await read_block(self.store, cidr)).value
                allocated = block.allocated() if block else ()
                owners = (owner for _, owner in allocated if owner.attributes.get("node") == self.host)
                found |= {owner.handle for owner in owners if owner.handle is not None}
        return frozenset(found)

    async def release_handle(self, handle: str) -> tuple[IPAddress, ...]:
        """Take back everything that the handle has; returns it. Nothing is wrong when it has nothing."""
        record = await read_handle(self.store, handle)
        released: list[IPAddress] = []
        for cidr in record.value.counts if record.value else ():
            taken = await take_back(self.store, cidr, lambda block: block.ordinals_of(handle))
            if not taken:
                await settle(self.store, handle, cidr)
            released += taken
        return tuple(released)

    async def release_addresses(
        self, addresses: Iterable[IPAddress], handle: str | None = None
    ) -> tuple[IPAddress, ...]:
        """Take back these addresses (with `handle`, only those that it has); returns what was released."""
        wanted = frozenset(addresses)
        released: list[IPAddress] = []
        families: tuple[Family, ...] = (4, 6)
        for family in families:
            if any(address.version == family for address in wanted):
                for cidr in await read_blocks(self.store, family):
                    inside = frozenset(address for address in wanted if address in cidr)
                    if inside:
                        released += await take_back(self.store, cidr, partial(_held, inside, handle))
        return tuple(released)

    async def release_host(self, host: str) -> None:
        """Release all affinities of a node that is gone; its addresses stay until their handles go."""
        await release_host(self.store, host)

    async def _reserved(self) -> Reserved:
        reservations = await listed(self.store, IPReservation)
        return Reserved.of(net for one in reservations for net in one.spec.reserved_cidrs)

    async def _own_blocks(self, pools: tuple[IPPool, ...], wish: PoolRequest) -> list[IPNetwork]:
        """The blocks that this node has; empty ones of pools that do not select it any more are given up.

        Those of a pool that is disabled or gone stay until the pool is deleted or enabled again.
        """
        labels = self._node_labels()
        own = [cidr for cidr in await blocks_of(self.store, self.host) if cidr.version == wish.family]
        others = [
            pool.spec
            for pool in pools
            if not pool.spec.disabled and not selects(pool.spec, labels) and pool.spec.cidr not in wish.pools
        ]
        given_up = {
            cidr
            for cidr in blocks_in(others, own)
            if await release(self.store, self.host, cidr, only_empty=True)
        }
        return [cidr for cidr in own if cidr not in given_up]

    async def _claim_quietly(self, cidr: IPNetwork) -> None:
        try:
            await claim(self.store, self.host, cidr, self.clock)
        except BlockTaken:
            return

    def _check_free(self, block: Block, address: IPAddress, holder: Owner | None, strict: bool) -> None:
        if holder is not None:
            raise AddressTaken(f"{address} is already assigned to {holder.handle or 'nobody known'}")
        if strict and block.host != self.host:
            whose = block.host or "no node"
            raise AddressTaken(f"{address} is in block {block.cidr} of {whose}, and strictAffinity is set")

    def _stamped(self, owner: Owner) -> Owner:
        """The owner with the time, as Go prints it."""
        stamp = self.clock.now().strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
        return replace(owner, attributes={**owner.attributes, "timestamp": stamp})

    def _explained(self, search: Search) -> str:
        family = search.pools[0].family
        return (
            f"out of addresses for {self.host}: Assigned {len(search.found)} out of {search.wanted} "
            f"requested IPv{family} addresses; {search.obstacle}; add an IPPool, or release addresses"
        )


def _held(addresses: frozenset[IPAddress], handle: str | None, block: Block) -> tuple[int, ...]:
    """Ordinals of those of the addresses that are allocated (to that handle)."""
    return tuple(
        ordinal
        for ordinal, owner in block.allocated()
        if block.address(ordinal) in addresses and (handle is None or owner.handle == handle)
    )
