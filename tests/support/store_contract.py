"""What every Store promises: one suite, for every implementation.

A test module imports all of it and has a fixture `store`. Waiting is by watch, so the suite runs in
virtual and in real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from fabric.errors import Compacted, FabricError
from fabric.store.port import Delete, LeaseNotFound, ModRevision, NoneNewer, Put, Store, StoreEvent

WAIT_SECONDS_MAX = 30.0


async def put(store: Store, key: str, value: bytes = b"v", lease: int = 0) -> int:
    return (await store.txn((), [Put(key, value, lease)])).revision


async def keys(store: Store, prefix: str, **arguments: object) -> list[str]:
    return [kv.key for kv in (await store.range(prefix, **arguments)).kvs]  # type: ignore[arg-type]


async def take(watch: AsyncIterator[Sequence[StoreEvent]], count: int) -> list[StoreEvent]:
    """The next `count` events; fails when more come with them, or none come."""
    events: list[StoreEvent] = []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(events) < count:
            events += await anext(watch)
    assert len(events) == count
    return events


def told(events: Sequence[StoreEvent]) -> list[tuple[str, str, int]]:
    return [(event.type, event.kv.key, event.kv.mod_revision) for event in events]


async def test_a_put_counts_versions_and_remembers_where_the_key_began(store: Store) -> None:
    first = await put(store, "/a", b"1")
    second = await put(store, "/a", b"2")
    kv = await store.get("/a")
    assert kv is not None
    assert (kv.value, kv.create_revision, kv.mod_revision, kv.version) == (b"2", first, second, 2)
    assert second == first + 1 == await store.revision()


async def test_nothing_newer_below_a_prefix_is_a_compare(store: Store) -> None:
    seen = await put(store, "/p/a")
    await put(store, "/other")
    await store.txn((), [Delete("/p/a")])
    assert (await store.txn([NoneNewer("/p/", seen)], [Put("/p/b", b"")])).succeeded
    assert not (await store.txn([NoneNewer("/p/", seen)], [Put("/p/c", b"")])).succeeded
    assert (await store.txn([NoneNewer("/p/", seen + 3)], [Put("/p/b", b"1")])).succeeded
    assert await keys(store, "/p/") == ["/p/b"]


async def test_of_writers_who_saw_the_same_prefix_one_wins(store: Store) -> None:
    seen = await put(store, "/p/a")
    all_ = [store.txn([NoneNewer("/p/", seen)], [Put(f"/p/{number}", b"")]) for number in range(20)]
    assert [result.succeeded for result in await asyncio.gather(*all_)].count(True) == 1
    assert len(await keys(store, "/p/")) == 2


async def test_a_key_that_is_not_there_is_none(store: Store) -> None:
    assert await store.get("/a") is None


async def test_a_range_has_the_keys_of_its_prefix_in_byte_order(store: Store) -> None:
    for key in ("/p/b", "/p/a", "/q", "/o", "/p/ä", "/p/\U0001f600", "/p/￿", "/p0"):
        await put(store, key)
    assert await keys(store, "/p/") == ["/p/a", "/p/b", "/p/ä", "/p/￿", "/p/\U0001f600"]
    assert len(await keys(store, "")) == 8


async def test_a_limit_cuts_a_range_and_start_after_goes_on(store: Store) -> None:
    for i in range(5):
        await put(store, f"/p/{i}")
    page = await store.range("/p/", limit=2)
    assert ([kv.key for kv in page.kvs], page.more, page.count) == (["/p/0", "/p/1"], True, 5)
    rest = await store.range("/p/", limit=3, start_after="/p/1")
    assert ([kv.key for kv in rest.kvs], rest.more, rest.count) == (["/p/2", "/p/3", "/p/4"], False, 3)


async def test_a_range_of_the_past_shows_what_was(store: Store) -> None:
    await put(store, "/p/a", b"old")
    then = await put(store, "/p/b")
    await store.txn((), [Put("/p/a", b"new"), Delete("/p/b"), Put("/p/c", b"")])
    past = await store.range("/p/", revision=then)
    assert [(kv.key, kv.value) for kv in past.kvs] == [("/p/a", b"old"), ("/p/b", b"v")]
    assert (past.revision, past.count) == (then, 2)
    assert await keys(store, "/p/", revision=then, limit=1, start_after="/p/a") == ["/p/b"]
    assert await keys(store, "/p/") == ["/p/a", "/p/c"]


async def test_a_range_of_the_future_is_refused(store: Store) -> None:
    with pytest.raises(FabricError, match="future"):
        await store.range("/", revision=await store.revision() + 1)


async def test_compare_and_swap_wins_once(store: Store) -> None:
    revision = await put(store, "/a")
    won = await store.txn([ModRevision("/a", revision)], [Put("/a", b"1")])
    lost = await store.txn([ModRevision("/a", revision)], [Put("/a", b"2")])
    assert (won.succeeded, lost.succeeded, lost.revision) == (True, False, won.revision)
    kv = await store.get("/a")
    assert kv is not None and kv.value == b"1"


async def test_of_many_creates_at_once_one_wins(store: Store) -> None:
    creates = [store.txn([ModRevision("/a", 0)], [Put("/a", b"%d" % i)]) for i in range(20)]
    results = await asyncio.gather(*creates)
    assert sum(result.succeeded for result in results) == 1


async def test_increments_in_parallel_lose_nothing(store: Store) -> None:
    await put(store, "/n", b"0")

    async def increment() -> None:
        while True:
            kv = await store.get("/n")
            assert kv is not None
            more = Put("/n", b"%d" % (int(kv.value) + 1))
            if (await store.txn([ModRevision("/n", kv.mod_revision)], [more])).succeeded:
                return

    await asyncio.gather(*(increment() for _ in range(12)))
    kv = await store.get("/n")
    assert kv is not None and kv.value == b"12"


async def test_a_deleted_key_is_gone_and_may_be_created_again(store: Store) -> None:
    await put(store, "/a")
    await store.txn((), [Delete("/a")])
    assert await store.get("/a") is None
    again = await store.txn([ModRevision("/a", 0)], [Put("/a", b"")])
    kv = await store.get("/a")
    assert kv is not None and (kv.create_revision, kv.version) == (again.revision, 1)


async def test_a_transaction_that_changes_nothing_makes_no_revision(store: Store) -> None:
    before = await put(store, "/a")
    result = await store.txn((), [Delete("/none")])
    assert (result.succeeded, result.revision, await store.revision()) == (True, before, before)


async def test_a_transaction_is_all_or_nothing_at_one_revision(store: Store) -> None:
    await put(store, "/a")
    lost = await store.txn([ModRevision("/a", 99)], [Put("/b", b""), Delete("/a")])
    assert not lost.succeeded and await keys(store, "/") == ["/a"]
    won = await store.txn([ModRevision("/b", 0)], [Put("/b", b""), Put("/c", b""), Delete("/a")])
    found = await store.range("/")
    assert [(kv.key, kv.mod_revision) for kv in found.kvs] == [("/b", won.revision), ("/c", won.revision)]


async def test_a_transaction_that_writes_a_key_twice_is_a_bug(store: Store) -> None:
    with pytest.raises(ValueError, match="once"):
        await store.txn((), [Put("/a", b""), Delete("/a")])


async def test_a_watch_from_now_sees_what_follows_under_its_prefix(store: Store) -> None:
    await put(store, "/p/before")
    watch = store.watch("/p/", from_revision=await store.revision() + 1)
    created = await put(store, "/p/a")
    await put(store, "/q")
    deleted = (await store.txn((), [Delete("/p/a")])).revision
    events = await take(watch, 2)
    assert told(events) == [("put", "/p/a", created), ("delete", "/p/a", deleted)]
    assert events[0].prev is None and events[1].prev == events[0].kv


async def test_a_watch_from_zero_begins_with_the_next_event(store: Store) -> None:
    await put(store, "/before")
    watch = store.watch("/")
    first = asyncio.ensure_future(anext(watch))
    revisions: list[int] = []
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not first.done():
            revisions.append(await put(store, "/a"))
            await asyncio.sleep(0)
    assert (await first)[0].kv.mod_revision in revisions


async def test_a_watch_from_a_revision_has_neither_gap_nor_duplicate(store: Store) -> None:
    first = await put(store, "/p/0")
    for i in range(1, 10):
        await put(store, f"/p/{i}")
    watch = store.watch("/p/", from_revision=first)
    replay = asyncio.ensure_future(take(watch, 30))
    await asyncio.gather(*(put(store, f"/p/{i}") for i in range(10, 30)))
    assert [event.kv.mod_revision for event in await replay] == list(range(first, first + 30))


async def test_a_batch_never_splits_a_revision(store: Store) -> None:
    first = await store.revision() + 1
    for i in range(40):
        await store.txn((), [Put(f"/p/{i}/{k}", b"") for k in range(60)])
    watch = store.watch("/p/", from_revision=first)
    seen = 0
    while seen < 2400:
        batch = await anext(watch)
        counts = [sum(e.kv.mod_revision == r for e in batch) for r in {e.kv.mod_revision for e in batch}]
        assert set(counts) <= {60}
        seen += len(batch)


async def test_a_watch_that_waits_is_not_cut_off_by_other_peoples_events(store: Store) -> None:
    watch = store.watch("/p/", from_revision=await store.revision() + 1)
    waiting = asyncio.ensure_future(take(watch, 1))
    await put(store, "/q/x")
    await asyncio.gather(*(store.txn((), [Put(f"/q/{i}", b"") for i in range(500)]) for _ in range(30)))
    revision = await put(store, "/p/a")
    assert told(await waiting) == [("put", "/p/a", revision)]


async def test_a_compacted_revision_is_forgotten_and_the_present_is_kept(store: Store) -> None:
    old = await put(store, "/a", b"1")
    new = await put(store, "/a", b"2")
    await store.compact(new)
    with pytest.raises(Compacted):
        await store.range("/", revision=old)
    with pytest.raises(Compacted):
        await anext(store.watch("/", from_revision=old))
    assert told(await take(store.watch("/", from_revision=new), 1)) == [("put", "/a", new)]
    assert [kv.value for kv in (await store.range("/", revision=new)).kvs] == [b"2"]


async def test_a_compaction_of_the_future_is_refused(store: Store) -> None:
    with pytest.raises(FabricError, match="future"):
        await store.compact(await store.revision() + 1)


async def test_a_lease_takes_its_keys_along_when_it_ends(store: Store) -> None:
    lease = await store.grant(1)
    first = await put(store, "/a", b"", lease)
    await put(store, "/b", b"", lease)
    kept = await put(store, "/c", b"", lease)
    kept = await put(store, "/c", b"")
    watch = store.watch("/", from_revision=kept + 1)
    assert told(await take(watch, 2)) == [("delete", "/a", kept + 1), ("delete", "/b", kept + 1)]
    assert await keys(store, "/") == ["/c"] and first < kept
    assert await store.time_to_live(lease) == -1
    assert await store.keep_alive(lease) == 0


@pytest.mark.parametrize("ttl_seconds", [-1, 0, 9_000_000_001, 2**63])
async def test_a_lease_of_no_time_or_of_more_than_etcd_takes_is_refused(
    store: Store, ttl_seconds: int
) -> None:
    with pytest.raises(ValueError, match="a lease lives 1 to 9000000000 s"):
        await store.grant(ttl_seconds)
    await put(store, "/a")


async def test_a_lease_of_three_centuries_is_a_lease(store: Store) -> None:
    lease = await store.grant(9_000_000_000)
    assert await store.time_to_live(lease) > 8_999_999_000


async def test_a_key_without_a_name_and_a_limit_below_zero_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="a key is not empty"):
        await store.txn((), [Put("", b"")])
    with pytest.raises(ValueError, match="a limit is 0 or more"):
        await store.range("/", limit=-1)


async def test_a_lease_kept_alive_outlives_one_that_is_not(store: Store) -> None:
    kept = await store.grant(3)

    async def renew() -> None:
        while True:
            assert await store.keep_alive(kept) == 3
            await asyncio.sleep(0.2)

    renewing = asyncio.ensure_future(renew())
    left = await store.grant(3)
    await put(store, "/kept", b"", kept)
    last = await put(store, "/left", b"", left)
    assert told(await take(store.watch("/", from_revision=last + 1), 1)) == [("delete", "/left", last + 1)]
    assert not renewing.done() and await keys(store, "/") == ["/kept"]
    renewing.cancel()


async def test_a_revoked_lease_ends_at_once(store: Store) -> None:
    lease = await store.grant(60)
    assert await store.time_to_live(lease) == 60
    await put(store, "/a", b"", lease)
    await store.revoke(lease)
    assert await keys(store, "/") == [] and await store.time_to_live(lease) == -1
    await store.revoke(lease)


async def test_a_put_under_a_lease_that_is_gone_is_refused(store: Store) -> None:
    lease = await store.grant(60)
    await store.revoke(lease)
    with pytest.raises(LeaseNotFound):
        await put(store, "/a", b"", lease)
