"""A store that watches Calico's IPAM: calls travel, tasks die at any of them, no write may break a rule."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar
from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import pairwise

from calico.ipam import keys
from calico.ipam.affinities import CONFIRMED
from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Block, Owner
from calico.ipam.candidates import PoolRequest
from calico.ipam.configuration import write_configuration
from calico.ipam.snapshot import Snapshot, snapshot_of
from calico.resources.datastore import encode
from calico.resources.pools import IPPool
from calico.resources.table import kind_of, store_key
from fabric.control.clock import LoopClock
from fabric.store.memory import MemoryStore
from fabric.store.port import Put

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
calls_left: ContextVar[int | None] = ContextVar("calls_left", default=None)
"""Store calls that the present task may still make before it dies; None is without end."""


class WatchedStore(MemoryStore):
    """A far store; after every transaction it looks whether the IPAM still makes sense."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__()
        self._rng = rng
        self._watched: dict[str, bytes] = {}
        self.calls = 0

    async def get(self, key):
        await self._travel()
        found = await super().get(key)
        return self._die_after(found)

    async def range(self, prefix, **kwargs):
        await self._travel()
        found = await super().range(prefix, **kwargs)
        return self._die_after(found)

    async def txn(self, compares, success):
        await self._travel()
        result = await super().txn(compares, success)
        if result.succeeded and any(op.key.startswith(keys.ROOT) for op in success):
            assert_sound(snapshot_of((await super().range(keys.ROOT)).kvs))
        return self._die_after(result)

    async def _travel(self) -> None:
        """Others get in between; half of the deaths are before the call, half after."""
        self.calls += 1
        left = calls_left.get()
        if left is not None:
            calls_left.set(left - 1)
            if left <= 1 and (self._rng is None or self._rng.random() < 0.5):
                raise asyncio.CancelledError
        if self._rng is not None:
            await asyncio.sleep(self._rng.choice((0.0, 0.01, 0.01, 0.02)))

    def _die_after(self, result):
        left = calls_left.get()
        if left is not None and left <= 0:
            raise asyncio.CancelledError
        return result


def assert_sound(snapshot: Snapshot) -> None:
    """What holds at every revision, in the middle of everything."""
    cidrs = sorted(snapshot.blocks, key=lambda net: (net.version, net.network_address))
    assert not any(one.overlaps(two) for one, two in pairwise(cidrs))
    for block in snapshot.blocks.values():
        assert_whole(block)
        for _, owner in block.allocated():
            held = len(block.ordinals_of(owner.handle))
            assert snapshot.handles[owner.handle].counts.get(block.cidr, 0) >= held
    for name, state in snapshot.affinities.items():
        if state == CONFIRMED:
            assert snapshot.blocks[name.cidr].host == name.host
    for cidr, block in snapshot.blocks.items():
        assert not block.host or keys.AffinityName(block.host, cidr) in snapshot.affinities


def assert_whole(block: Block) -> None:
    """Every ordinal is once in the queue or once given out; every owner has something."""
    given = [ordinal for ordinal, _ in block.allocated()]
    assert sorted([*given, *block.unallocated]) == list(range(block.cidr.num_addresses))
    assert set(block.sequence_numbers) == set(given)
    assert {index for index in block.allocations if index is not None} == set(range(len(block.owners)))


def pool(name: str = "pool-1", cidr: str = "10.244.0.0/24", block_size: int = 28, **spec) -> IPPool:
    return IPPool.named(name, cidr=ip_network(cidr), block_size=block_size, **spec)


async def put_resources(store, *resources) -> None:
    for resource in resources:
        key = store_key(kind_of(type(resource)), resource.name, resource.metadata.namespace)
        await store.txn([], [Put(key, encode(resource))])


def owner(name: str = "pod-1", node: str = "node-1") -> Owner:
    return Owner(f"k8s-pod-network.{name}", {"namespace": "default", "node": node, "pod": name})


def noon_clock() -> LoopClock:
    return LoopClock(NOON)


async def ipams(*resources, config=None, hosts=("node-1", "node-2"), **options):
    """A store with these resources, and an Ipam for each host over it."""
    store, clock = WatchedStore(), noon_clock()
    await put_resources(store, *(resources or [pool()]))
    if config:
        await write_configuration(store, config)
    return [Ipam(store, clock, host, **options) for host in hosts]


async def add(ipam, name, **wish):
    return await ipam.auto_assign(owner(name, ipam.host), PoolRequest(**wish))
