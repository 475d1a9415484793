"""One node's lease over days: renewed in time, kept while the store is away, acquired anew when lost."""

from __future__ import annotations

import asyncio
import random

import pytest
from support.flannel_cluster import conf_of, config, facts, vxlan_lease
from support.owned_task import running

from fabric.errors import FabricError, StoreUnavailable
from fabric.plugin.reflector import Reflector
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put
from flannel import subnet_env
from flannel.backends import BACKENDS
from flannel.lease_book import FOLLOWED, LeaseBook
from flannel.lease_keeper import LeaseKeeper
from flannel.leases import SUBNETS

HOUR = 3600


class Node:
    """A keeper with its book, and nothing of a kernel."""

    def __init__(self, store, root, number=1, section=None):
        section = section or config()
        self.conf = conf_of(section)
        self.keeper = LeaseKeeper(
            store,
            self.conf,
            BACKENDS[self.conf.backend],
            facts(number),
            root,
            on_change=lambda: None,
            rng=random.Random(number),
        )
        self.reflector = Reflector(store, FOLLOWED)
        self.book = LeaseBook(self.reflector)
        self.book.follow(self, lambda: self.keeper.judge(self.book))

    def running(self):
        return running(self.reflector.run(), self.keeper.run())


async def kvs(store):
    return (await store.range(SUBNETS)).kvs


async def test_a_lease_is_renewed_an_hour_before_its_end_with_a_new_store_lease(tmp_path):
    store = MemoryStore()
    node = Node(store, tmp_path)
    await node.keeper.acquire()
    async with node.running():
        (first,) = await kvs(store)
        assert await store.time_to_live(first.lease) == 24 * HOUR
        await asyncio.sleep(23 * HOUR - 1)
        assert await kvs(store) == (first,)
        await asyncio.sleep(2)
        (second,) = await kvs(store)
        assert (second.key, second.value) == (first.key, first.value)
        assert second.lease != first.lease and second.version == 2
        await asyncio.sleep(240 * HOUR)
        (last,) = await kvs(store)
        assert last.key == first.key


async def test_a_reservation_without_a_ttl_is_taken_and_stays_without_one(tmp_path):
    store = MemoryStore()
    reserved = vxlan_lease(40, "192.168.0.11")
    await store.txn([], [Put(reserved.key, b'{"PublicIP":"192.168.0.11"}')])
    node = Node(store, tmp_path)
    await node.keeper.acquire()
    async with node.running():
        await asyncio.sleep(72 * HOUR)
    (kv,) = await kvs(store)
    assert kv.key == reserved.key and kv.lease == 0 and b"VtepMAC" in kv.value


async def test_a_renewal_that_fails_is_tried_again_a_minute_later(tmp_path, monkeypatch):
    store = MemoryStore()
    node = Node(store, tmp_path)
    await node.keeper.acquire()
    (first,) = await kvs(store)
    tries = []
    grant = store.grant

    async def failing(ttl_seconds):
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 3:
            raise StoreUnavailable("the store does not answer")
        return await grant(ttl_seconds)

    monkeypatch.setattr(store, "grant", failing)
    async with node.running():
        await asyncio.sleep(23.5 * HOUR)
    assert [round(later - tries[0]) for later in tries] == [0, 60, 120]
    assert (await kvs(store))[0].version == first.version + 1


async def test_the_old_subnet_comes_back_after_a_loss_when_it_is_free(tmp_path):
    store = MemoryStore()
    node = Node(store, tmp_path)
    await node.keeper.acquire()
    held = node.keeper.held.lease
    subnet_env.write(tmp_path, subnet_env.of(node.conf.networks, held.subnets, 1450))
    async with node.running():
        await store.txn([], [Delete(held.key)])
        await asyncio.sleep(2)
    assert node.keeper.held.lease == held


async def test_a_subnet_that_somebody_else_took_meanwhile_is_his(tmp_path):
    store = MemoryStore()
    node = Node(store, tmp_path)
    await node.keeper.acquire()
    held = node.keeper.held.lease
    async with node.running():
        thief = vxlan_lease(9)
        await store.txn([], [Put(held.key, thief.value)])
        await asyncio.sleep(2)
    assert node.keeper.held.lease.key != held.key
    assert {kv.key: kv.value for kv in await kvs(store)}[held.key] == thief.value


async def test_an_underlay_without_the_pod_networks_family_is_refused(tmp_path):
    node = Node(MemoryStore(), tmp_path, section=config(cidrs="10.244.0.0/16 fd00:10:244::/48"))
    with pytest.raises(FabricError, match="lacks an address of the family"):
        await node.keeper.acquire()
