"""When the disk says no: every write that stood on the lost one is refused, and the store goes on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest
from support.eventually import eventually
from support.store_contract import keys, put

from fabric.errors import StoreUnavailable
from fabric.store import local
from fabric.store.local import LocalStore
from fabric.store.mvcc import Change, Snapshot
from fabric.store.port import ModRevision, Put


class FullDisk:
    """Refuses while `full`, and remembers what it took."""

    def __init__(self) -> None:
        self.full = False
        self.groups: list[list[int]] = []

    def append(self, changes: Sequence[Change]) -> None:
        if self.full:
            raise StoreUnavailable("disk full")
        self.groups.append([change.revision for change in changes])

    def close(self) -> None:
        pass


async def test_writes_on_top_of_a_lost_one_are_lost_with_it() -> None:
    disk = FullDisk()
    store = LocalStore(Snapshot(), disk)
    before = await put(store, "/a", b"1")
    disk.full = True
    writes = [
        store.txn([ModRevision("/a", before)], [Put("/a", b"2")]),
        store.txn([ModRevision("/a", before + 1)], [Put("/b", b"")]),
        store.txn([ModRevision("/a", before)], [Put("/c", b"")]),
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    disk.full = False
    assert await keys(store, "/") == ["/a"] and await store.revision() == before
    again = await store.txn([ModRevision("/a", before)], [Put("/a", b"3")])
    assert again.succeeded and again.revision == before + 1
    await store.close()


async def test_a_failed_compare_is_answered_after_what_it_was_judged_against() -> None:
    disk = FullDisk()
    store = LocalStore(Snapshot(), disk)
    won, lost = await asyncio.gather(
        store.txn([ModRevision("/a", 0)], [Put("/a", b"1")]),
        store.txn([ModRevision("/a", 0)], [Put("/a", b"2")]),
    )
    assert won.succeeded and not lost.succeeded and lost.revision == won.revision
    assert disk.groups == [[won.revision], [won.revision]]
    await store.close()


async def test_a_group_takes_everything_that_waited() -> None:
    disk = FullDisk()
    store = LocalStore(Snapshot(), disk)
    await asyncio.gather(*(put(store, f"/{i}") for i in range(50)))
    assert len(disk.groups) == 2 and len(disk.groups[1]) == 49
    await store.close()


@pytest.fixture
def endless_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GATHER_SECONDS", 3600.0)


async def crowded_store(disk: FullDisk) -> LocalStore:
    """A store of which many have just written at once."""
    store = LocalStore(Snapshot(), disk)
    await asyncio.gather(*(put(store, f"/{i}") for i in range(local.CROWD + 1)))
    return store


async def test_in_a_crowd_a_group_waits_for_company(endless_gathering: None) -> None:
    disk = FullDisk()
    store = await crowded_store(disk)
    before = len(disk.groups)
    first = [asyncio.ensure_future(put(store, f"/first-{i}")) for i in range(local.GATHERED_MAX - 1)]
    await asyncio.sleep(0.05)
    assert len(disk.groups) == before
    await asyncio.gather(put(store, "/last"), *first)
    assert len(disk.groups[-1]) == local.GATHERED_MAX
    await store.close()


async def test_one_who_writes_alone_waits_for_nobody(endless_gathering: None) -> None:
    store = LocalStore(Snapshot(), FullDisk())
    for i in range(5):
        await put(store, f"/{i}")
    await store.close()


async def test_a_failed_compare_waits_for_the_group_that_is_gathered(endless_gathering: None) -> None:
    disk = FullDisk()
    store = await crowded_store(disk)
    won = asyncio.ensure_future(store.txn([ModRevision("/a", 0)], [Put("/a", b"1")]))
    lost = asyncio.ensure_future(store.txn([ModRevision("/a", 0)], [Put("/a", b"2")]))
    await asyncio.sleep(0.05)
    assert not won.done() and not lost.done()
    await store.close()
    assert (await won).succeeded and not (await lost).succeeded
    assert (await won).revision in disk.groups[-2] + disk.groups[-1]


async def test_closing_finishes_what_is_queued() -> None:
    disk = FullDisk()
    store = LocalStore(Snapshot(), disk)
    writes = [asyncio.ensure_future(put(store, f"/{i}")) for i in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writes) == [2, 3, 4, 5, 6]
    with pytest.raises(StoreUnavailable):
        await put(store, "/late")


async def test_a_lease_that_ends_on_a_full_disk_ends_when_there_is_room(caplog) -> None:
    disk = FullDisk()
    store = LocalStore(Snapshot(), disk)
    lease = await store.grant(1)
    await store.txn([], [Put("/a", b"1", lease)])
    disk.full = True
    await asyncio.sleep(2.5)
    assert await keys(store, "/") == ["/a"]
    disk.full = False

    async def is_empty() -> bool:
        return not await keys(store, "/")

    await eventually(is_empty)
    await store.close()
    gc.collect()
    assert not caplog.records
