"""The book follows the store: a snapshot, then changes; forgotten revisions cost a new snapshot."""

from __future__ import annotations

import asyncio

from support.flannel_cluster import vxlan_lease
from support.owned_task import running

from fabric.errors import Compacted, StoreUnavailable
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put
from flannel.lease_book import LeaseBook
from flannel.leases import CONFIG_KEY, SUBNETS


async def write(store, *leases):
    await store.txn([], [Put(lease.key, lease.value) for lease in leases])


async def test_it_has_what_was_there_and_what_comes_and_not_what_went():
    store = MemoryStore()
    await write(store, vxlan_lease(1), vxlan_lease(2))
    book = LeaseBook(store, lambda: None)
    async with running(book.run()):
        await asyncio.sleep(0)
        await write(store, vxlan_lease(3))
        await store.txn([], [Delete(vxlan_lease(1).key), Put(CONFIG_KEY, b"{}")])
        await asyncio.sleep(0.1)
        assert set(book.leases.values()) == {vxlan_lease(2), vxlan_lease(3)}
        assert (book.config, book.revision) == (b"{}", await store.revision())


async def test_a_key_that_is_no_lease_is_passed_over_and_ends_what_stood_there():
    store = MemoryStore()
    await write(store, vxlan_lease(1), vxlan_lease(2))
    await store.txn([], [Put(f"{SUBNETS}nonsense", b"{}")])
    book = LeaseBook(store, lambda: None)
    async with running(book.run()):
        await asyncio.sleep(0.1)
        await store.txn([], [Put(vxlan_lease(1).key, b"not json")])
        await asyncio.sleep(0.1)
        assert list(book.leases.values()) == [vxlan_lease(2)]


class _Flaky(MemoryStore):
    """Raises the given errors at the watches' starts, one each."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)
        self.starts = []

    def watch(self, prefix, *, from_revision=0):
        self.starts.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return super().watch(prefix, from_revision=from_revision)


async def test_an_outage_is_retried_from_a_tenth_of_a_second_to_five():
    store = _Flaky(*(StoreUnavailable("away") for _ in range(8)))
    book = LeaseBook(store, lambda: None)
    async with running(book.run()):
        await asyncio.sleep(60)
    gaps = [round(b - a, 1) for a, b in zip(store.starts, store.starts[1:], strict=False)]
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_a_forgotten_revision_costs_a_new_snapshot_with_nothing_missed():
    store = _Flaky(Compacted("forgotten"))
    await write(store, vxlan_lease(1), vxlan_lease(2))
    seen = []
    book = LeaseBook(store, lambda: seen.append(dict(book.leases)))
    async with running(book.run()):
        await asyncio.sleep(0)
        await write(store, vxlan_lease(2, mac="02:00:00:00:00:99"))
        await store.txn([], [Delete(vxlan_lease(1).key)])
        await asyncio.sleep(5)
    assert list(book.leases.values()) == [vxlan_lease(2, mac="02:00:00:00:00:99")]
