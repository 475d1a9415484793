"""MemoryStore under the contract suite, and the bound on its history."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.store_contract import *  # noqa: F403
from support.store_contract import put

from fabric.errors import Compacted, StoreUnavailable
from fabric.frames import FRAME_BYTES_MAX
from fabric.store.history import EVENTS_BYTES_MAX
from fabric.store.memory import MemoryStore
from fabric.store.port import Store


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = MemoryStore()
    yield made
    await made.close()


async def test_history_is_bounded_and_forgets_the_oldest_first() -> None:
    store = MemoryStore(events_max=10)
    revisions = [await put(store, "/a") for _ in range(15)]
    assert len(await anext(store.watch("/", from_revision=revisions[5]))) == 10
    with pytest.raises(Compacted):
        await anext(store.watch("/", from_revision=revisions[4]))
    await store.range("/", revision=revisions[4])
    with pytest.raises(Compacted):
        await store.range("/", revision=revisions[3])


async def test_a_history_of_large_values_is_bounded_by_their_bytes() -> None:
    store, value = MemoryStore(), b"v" * (1 << 20)
    revisions = [await put(store, "/a", value) for _ in range(EVENTS_BYTES_MAX // len(value) + 1)]
    with pytest.raises(Compacted):
        await anext(store.watch("/", from_revision=revisions[0]))
    assert await anext(store.watch("/", from_revision=revisions[1]))


async def test_a_batch_of_large_values_fits_a_frame() -> None:
    store, value = MemoryStore(), b"v" * (1 << 20)
    revisions = [await put(store, f"/{i}", value) for i in range(100)]
    watch = store.watch("/", from_revision=revisions[0])
    batches, told = [], 0
    while told < len(revisions):
        batches.append(await anext(watch))
        told += len(batches[-1])
    assert told == len(revisions)
    assert all(sum(len(event.kv.value) for event in batch) <= FRAME_BYTES_MAX / 2 for batch in batches)


async def test_a_closed_store_says_that_it_is_unavailable() -> None:
    store = MemoryStore()
    watch = store.watch("/")
    await store.close()
    with pytest.raises(StoreUnavailable):
        await anext(watch)
    with pytest.raises(StoreUnavailable):
        await store.get("/a")
