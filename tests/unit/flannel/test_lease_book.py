"""The book is the reflector's keys as leases: broken ones are passed over, and all agents read one."""

from __future__ import annotations

import asyncio

from support.dict_host import DictHost
from support.fake_daemons import FakeDaemons
from support.flannel_cluster import config, facts, vxlan_lease
from support.memory_api import MemoryApi
from support.node_context import node_context
from support.owned_task import running

from fabric.plugin.reflector import Reflector, Reflectors
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put
from flannel.lease_book import FOLLOWED, LeaseBook
from flannel.leases import CONFIG_KEY, SUBNETS
from flannel.plugin import FlannelPlugin


async def write(store, *leases):
    await store.txn([], [Put(lease.key, lease.value) for lease in leases])


async def test_it_has_what_was_there_and_what_comes_and_not_what_went():
    store = MemoryStore()
    await write(store, vxlan_lease(1), vxlan_lease(2))
    reflector = Reflector(store, FOLLOWED)
    book = LeaseBook(reflector)
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        await write(store, vxlan_lease(3))
        await store.txn([], [Delete(vxlan_lease(1).key), Put(CONFIG_KEY, b"{}")])
        await asyncio.sleep(0.1)
        assert set(book.leases.values()) == {vxlan_lease(2), vxlan_lease(3)}
        assert (book.config, book.revision) == (b"{}", await store.revision())


async def test_a_key_that_is_no_lease_is_passed_over_and_ends_what_stood_there():
    store = MemoryStore()
    await write(store, vxlan_lease(1), vxlan_lease(2))
    await store.txn([], [Put(f"{SUBNETS}nonsense", b"{}")])
    reflector = Reflector(store, FOLLOWED)
    book = LeaseBook(reflector)
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        await store.txn([], [Put(vxlan_lease(1).key, b"not json")])
        await asyncio.sleep(0.1)
        assert list(book.leases.values()) == [vxlan_lease(2)]


async def test_a_book_that_is_opened_late_has_what_the_reflector_knows():
    store = MemoryStore()
    await write(store, vxlan_lease(1))
    reflector = Reflector(store, FOLLOWED)
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        assert list(LeaseBook(reflector).leases.values()) == [vxlan_lease(1)]


async def test_the_agents_of_a_process_have_one_watch_of_the_store(tmp_path):
    class Counting(MemoryStore):
        watches = 0

        def watch(self, prefix, *, from_revision=0):
            self.watches += 1
            return super().watch(prefix, from_revision=from_revision)

    store, api, plugin = Counting(), MemoryApi(), FlannelPlugin()
    await plugin.prepare(config(), store, api)
    reflectors = Reflectors(store)
    agents = []
    for number in (1, 2, 3):
        place = tmp_path / f"node-{number}"
        context = (facts(number), config(), DictHost(), place, store, api, FakeDaemons(), reflectors)
        agents.append(plugin.agent(node_context(*context)))
    async with running(reflectors.run(), *(agent.run() for agent in agents)):
        await asyncio.sleep(5)
        assert [agent.status().ready for agent in agents] == [True] * 3
        assert store.watches == 1
