"""A search finds addresses for a node: in its own blocks, then in new ones, then in other nodes' blocks.

A new block is the first on the node's walk around its pools that is free, or has the node's name and lost its
affinity; when there is none, an empty block
that another node claimed more than a minute ago is taken from it. Addresses of other nodes' blocks are
borrowed only when no pool has a block left: a node that may claim no more blocks (maxBlocksPerHost), or none
by itself (autoAllocateBlocks is false), gets no address, and with strictAffinity nobody borrows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from calico.ipam import keys
from calico.ipam.affinities import BlockTaken, blocks_of, claim, release
from calico.ipam.blocks import Block, Owner
from calico.ipam.configuration import Configuration
from calico.ipam.records import TRIES_MAX, Record, TooBusy, decoded, read_block, read_blocks
from calico.ipam.walk import Reserved, Walk, blocks_in
from calico.ipam.writing import give
from calico.resources.datastore import Unreadable
from calico.resources.pools import IPPoolSpec
from fabric.control.clock import Clock
from fabric.netstate.objects import Family, IPAddress, IPNetwork
from fabric.store.port import KeyValue, ModRevision, Store

RECLAIM_AGE_SECONDS = 60


@dataclass(slots=True)
class Search:
    """A search for up to `wanted` addresses of one owner; `found` grows as the store confirms them."""

    store: Store
    clock: Clock
    rng: random.Random
    host: str
    owner: Owner
    pools: Sequence[IPPoolSpec]
    reserved: Reserved
    configuration: Configuration
    wanted: int
    found: list[IPAddress] = field(default_factory=list)
    obstacle: str = ""
    """Why the search ended before everything was found, in Calico's words."""

    async def run(self, own: Sequence[IPNetwork]) -> None:
        """Look everywhere, in the node's own blocks first, until enough is found or everything is full.

        What somebody spoilt by hand is passed over; Unreadable names it when there was nothing else.
        """
        spoilt: Unreadable | None = None
        for cidr in blocks_in(self.pools, own):
            try:
                if self._missing:
                    await self._from_own(cidr)
            except Unreadable as error:
                spoilt = error
        if self._missing and await self._from_new():
            await self._from_others()
        if spoilt is not None and not self.found:
            raise spoilt

    @property
    def _missing(self) -> int:
        return self.wanted - len(self.found)

    async def _from_own(self, cidr: IPNetwork) -> bool:
        """Take from a block that is the host's or may become so; False when it is another's."""
        if self.reserved.covering(cidr):
            return False
        for _ in range(TRIES_MAX):
            try:
                own = await claim(self.store, self.host, cidr, self.clock)
            except BlockTaken:
                return False
            affinity = ModRevision(keys.affinity(self.host, cidr), own.affinity_revision)
            if await self._take(own.block, own.revision, [affinity]):
                return True
        raise TooBusy(f"block {cidr}: {TRIES_MAX} attempts to take from it met others; trying again")

    async def _from_new(self) -> bool:
        """Claim blocks and take from them; True when there is no block left, so that others' may be tried.

        The limit counts the node's blocks in the pools of this search.
        """
        limit = self.configuration.blocks_per_host_max
        for _ in range(TRIES_MAX):
            if not self._missing:
                return False
            own = tuple(blocks_in(self.pools, await blocks_of(self.store, self.host)))
            if len(own) >= limit:
                self.obstacle = (
                    f"cannot allocate new block due to per host block limit (maxBlocksPerHost is {limit})"
                )
                return False
            if not self.configuration.auto_allocate_blocks:
                self.obstacle = "failed to find or claim a block (autoAllocateBlocks is false)"
                return False
            cidr = await self._unclaimed(own)
            if cidr is None:
                return True
            await self._from_own(cidr)
        raise TooBusy(f"{self.host}: {TRIES_MAX} attempts to claim a block met others; trying again")

    async def _unclaimed(self, own: Sequence[IPNetwork]) -> IPNetwork | None:
        kvs = (await self.store.range(keys.blocks(self._family))).kvs
        taken = [cidr for kv in kvs if (cidr := keys.parse_block(kv.key)) is not None]
        orphans = [cidr for cidr in self._orphans(kvs) if cidr not in own]
        for walk in self._walks():
            first = walk.first_free(taken, self.reserved)
            if usable := walk.ordered([*orphans, *([first] if first is not None else ())]):
                return usable[0]
        existing = await read_blocks(self.store, self._family)
        for walk in self._walks():
            for cidr in walk.ordered(existing):
                if self._is_stranded(existing[cidr].value) and await self._reclaim(existing[cidr]):
                    return cidr
        return None

    def _orphans(self, kvs: Sequence[KeyValue]) -> Iterator[IPNetwork]:
        """Blocks with the node's name and a free address; without an affinity they are claimed again."""
        mark = f'"host:{self.host}"'.encode()
        for kv in kvs:
            if mark in kv.value:
                with suppress(Unreadable):
                    block = decoded(kv, Block.from_json)
                    if block.host == self.host and any(True for _ in block.free(self.reserved)):
                        yield block.cidr

    def _is_stranded(self, block: Block) -> bool:
        old = block.claim_age_seconds(self.clock.now()) >= RECLAIM_AGE_SECONDS
        others = block.host not in ("", self.host)
        return others and old and block.is_empty and any(True for _ in block.free(self.reserved))

    async def _reclaim(self, record: Record[Block]) -> bool:
        block = record.value
        return await release(self.store, block.host, block.cidr, only_empty=True, revision=record.revision)

    async def _from_others(self) -> None:
        """Borrow single addresses, from the node's own place on, unless affinity is strict."""
        if self.configuration.strict_affinity:
            self.obstacle = "No more free affine blocks and strict affinity enabled"
            return
        self.obstacle = f"No IPs available in pools: [{' '.join(str(pool.cidr) for pool in self.pools)}]"
        existing = await read_blocks(self.store, self._family)
        for walk in self._walks():
            for cidr in walk.ordered(existing):
                if not self._missing:
                    return
                await self._borrow(cidr)

    async def _borrow(self, cidr: IPNetwork) -> None:
        for _ in range(TRIES_MAX):
            record = await read_block(self.store, cidr)
            if record.value is None or await self._take(record.value, record.revision, []):
                return
        raise TooBusy(f"block {cidr}: {TRIES_MAX} attempts to borrow from it met others; trying again")

    async def _take(self, block: Block, revision: int, unchanged: Sequence[ModRevision]) -> bool:
        """Take what the block has free; False when somebody was faster and it must be read again."""
        ordinals = tuple(islice(block.free(self.reserved), self._missing))
        if not ordinals:
            return True
        if not await give(self.store, block, revision, ordinals, self.owner, unchanged):
            return False
        self.found += [block.address(ordinal) for ordinal in ordinals]
        return True

    @property
    def _family(self) -> Family:
        return self.pools[0].family

    def _walks(self) -> Iterator[Walk]:
        return (Walk(pool, self.host, self.rng) for pool in self.pools)
