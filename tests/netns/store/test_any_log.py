"""A log that refuses now and then, a crowd of writers: what was acknowledged is kept, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.errors import OutOfResources
from fabric.store.leases import Lease
from fabric.store.local import LocalStore
from fabric.store.mvcc import FIRST_REVISION, Change, Snapshot
from fabric.store.port import Compare, Delete, KeyValue, ModRevision, Put, TxnResult

KEYS = st.sampled_from(["/a", "/b", "/c"])
WRITES = st.lists(
    st.tuples(KEYS, st.sampled_from(["put", "delete", "swap", "grant"])), min_size=1, max_size=6
)
"""What is asked for at once."""
ROUNDS = st.lists(WRITES, min_size=1, max_size=8)
REFUSALS = st.lists(st.booleans(), max_size=20)


class MoodyLog:
    """A log on nothing: it refuses where it is told to, and remembers the rest as a file would."""

    def __init__(self, refusals: Sequence[bool]) -> None:
        self._refusals: Iterator[bool] = iter(refusals)
        self.revision = FIRST_REVISION
        self.kvs: dict[str, KeyValue] = {}
        self.leases: dict[int, Lease] = {}

    def append(self, changes: Sequence[Change]) -> None:
        if next(self._refusals, False):
            raise OutOfResources("the disk is full")
        for change in changes:
            for event in change.events:
                if event.type == "put":
                    self.kvs[event.kv.key] = event.kv
                else:
                    del self.kvs[event.kv.key]
            if change.granted is not None:
                self.leases[change.granted.id] = change.granted
        self.revision = changes[-1].revision

    def close(self) -> None:
        pass

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.revision, tuple(self.kvs.values()), tuple(self.leases.values()))


async def ask(store: LocalStore, key: str, what: str, value: bytes) -> Any:
    """The answer to one write; `swap` stands on what is published, and may lose to another write."""
    if what == "grant":
        return await store.grant(60)
    present = await store.get(key)
    compares: list[Compare] = []
    if what == "swap":
        compares.append(ModRevision(key, present.mod_revision if present else 0))
    return await store.txn(compares, [Delete(key) if what == "delete" else Put(key, value)])


async def content(store: LocalStore) -> dict[str, tuple[bytes, int]]:
    return {kv.key: (kv.value, kv.mod_revision) for kv in (await store.range("/")).kvs}


async def story(rounds: Sequence[Sequence[tuple[str, str]]], refusals: Sequence[bool]) -> None:
    log = MoodyLog(refusals)
    store = LocalStore(Snapshot(), log)
    watch = store.watch("/")
    acknowledged: dict[bytes, int] = {}
    refused: set[bytes] = set()
    for number, writes in enumerate(rounds):
        values = [b"%d.%d" % (number, i) for i in range(len(writes))]
        asked = [ask(store, *write, value) for write, value in zip(writes, values, strict=True)]
        for value, answer in zip(values, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(answer, TxnResult) and answer.succeeded:
                acknowledged[value] = answer.revision
            elif isinstance(answer, BaseException):
                assert isinstance(answer, OutOfResources), answer
                refused.add(value)
    await check_watch(store, watch, acknowledged, refused)
    before, revision = await content(store), await store.revision()
    await store.close()
    reopened = LocalStore(log.snapshot, log)
    assert await content(reopened) == before
    assert await reopened.revision() == revision
    await reopened.close()


async def check_watch(
    store: LocalStore, watch: Any, acknowledged: dict[bytes, int], refused: set[bytes]
) -> None:
    """The watch tells each acknowledged write at its revision, no refused one, and ends at what is there."""
    while True:
        try:
            await store.txn([], [Put("/end", b"end")])
            break
        except OutOfResources:
            continue
    seen: dict[str, tuple[bytes, int]] = {}
    last = FIRST_REVISION
    while "/end" not in seen:
        for event in await anext(watch):
            kv = event.kv
            assert last <= kv.mod_revision <= last + 1
            last = kv.mod_revision
            if event.type == "put":
                seen[kv.key] = kv.value, kv.mod_revision
                assert kv.value not in refused
                assert acknowledged.get(kv.value, last) == last
            else:
                del seen[kv.key]
    assert seen == await content(store)


@settings(max_examples=150, deadline=None)
@given(ROUNDS, REFUSALS)
def test_what_was_acknowledged_is_kept_and_what_was_refused_never_was(rounds, refusals):
    asyncio.run(story(rounds, refusals))
