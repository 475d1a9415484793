"""Any order of operations: the store agrees with a dict, and its watch replays it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.errors import Compacted
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, ModRevision, Put

KEYS = st.sampled_from(["/a", "/a/1", "/a/2", "/b", "/b/é"])
OPS = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2)), max_size=3, unique_by=lambda op: op[0])
COMPARES = st.lists(st.tuples(KEYS, st.booleans()), max_size=2)
"""A key, and whether the compare shall hold."""
TRANSACTIONS = st.lists(st.tuples(COMPARES, OPS), max_size=25)


@dataclass
class Oracle:
    """The store as a list of dicts: one for each revision, key to (value, mod revision)."""

    states: list[dict[str, tuple[bytes, int]]] = field(default_factory=lambda: [{}])

    @property
    def revision(self) -> int:
        return len(self.states)

    def apply(self, ops: list[tuple[str, bytes | None]]) -> None:
        old, new = self.states[-1], dict(self.states[-1])
        for key, value in ops:
            if value is None:
                new.pop(key, None)
            else:
                new[key] = (value, self.revision + 1)
        if new != old:
            self.states.append(new)


async def run(store: MemoryStore, transactions: list, oracle: Oracle) -> None:
    for wishes, ops in transactions:
        present = oracle.states[-1]
        compares = [
            ModRevision(key, present.get(key, (b"", 0))[1] + (0 if holds else 1)) for key, holds in wishes
        ]
        success = [Delete(key) if value is None else Put(key, value) for key, value in ops]
        result = await store.txn(compares, success)
        assert result.succeeded == all(holds for _, holds in wishes)
        if result.succeeded:
            oracle.apply(ops)
        assert result.revision == oracle.revision


async def read(store: MemoryStore, prefix: str, revision: int) -> dict[str, tuple[bytes, int]]:
    found = await store.range(prefix, revision=revision)
    assert [kv.key for kv in found.kvs] == sorted(kv.key for kv in found.kvs)
    return {kv.key: (kv.value, kv.mod_revision) for kv in found.kvs}


def under(prefix: str, state: dict[str, tuple[bytes, int]]) -> dict[str, tuple[bytes, int]]:
    return {key: value for key, value in state.items() if key.startswith(prefix)}


@given(TRANSACTIONS, st.sampled_from(["/", "/a", "/b/"]))
@settings(max_examples=150, deadline=None)
def test_every_revision_reads_as_the_oracle_had_it(transactions: list, prefix: str) -> None:
    async def scenario() -> None:
        store, oracle = MemoryStore(), Oracle()
        await run(store, transactions, oracle)
        for revision, state in enumerate(oracle.states, 1):
            assert await read(store, prefix, revision) == under(prefix, state)

    asyncio.run(scenario())


@given(
    TRANSACTIONS,
    st.sampled_from(["/", "/a", "/b/"]),
    st.integers(1, 3),
    st.sampled_from(["/a", "/a/1", "/b/"]),
)
@settings(max_examples=150, deadline=None)
def test_a_page_of_any_revision_is_a_part_of_it(
    transactions: list, prefix: str, limit: int, start_after: str
) -> None:
    async def scenario() -> None:
        store, oracle = MemoryStore(), Oracle()
        await run(store, transactions, oracle)
        for revision, state in enumerate(oracle.states, 1):
            keys = sorted(key for key in under(prefix, state) if key > start_after)
            page = await store.range(prefix, start_after=start_after, limit=limit, revision=revision)
            assert [kv.key for kv in page.kvs] == keys[:limit]
            assert (page.more, page.count) == (len(keys) > limit, len(keys))

    asyncio.run(scenario())


@given(TRANSACTIONS, st.sampled_from(["/", "/a", "/b/"]), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_replaying_a_watch_gives_the_present(transactions: list, prefix: str, start: int) -> None:
    async def scenario() -> None:
        store, oracle = MemoryStore(), Oracle()
        await run(store, transactions, oracle)
        if start > oracle.revision:
            return
        replayed = under(prefix, oracle.states[start - 1])
        await store.txn((), [Put(prefix + "~end", b"")])
        watch = store.watch(prefix, from_revision=start + 1)
        while prefix + "~end" not in replayed:
            for event in await anext(watch):
                before = replayed.pop(event.kv.key, None)
                assert before == (event.prev and (event.prev.value, event.prev.mod_revision))
                if event.type == "put":
                    replayed[event.kv.key] = (event.kv.value, event.kv.mod_revision)
        del replayed[prefix + "~end"]
        assert replayed == under(prefix, oracle.states[-1])

    asyncio.run(scenario())


@given(TRANSACTIONS, st.integers(1, 10))
@settings(max_examples=80, deadline=None)
def test_what_a_bounded_history_cannot_tell_it_refuses(transactions: list, events_max: int) -> None:
    async def scenario() -> None:
        store, oracle = MemoryStore(events_max), Oracle()
        await run(store, transactions, oracle)
        for revision, state in enumerate(oracle.states, 1):
            try:
                assert await read(store, "/", revision) == state
            except Compacted:
                assert revision < oracle.revision

    asyncio.run(scenario())
