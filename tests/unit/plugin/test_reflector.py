"""The reflector follows the store: a list, then changes; forgotten revisions cost a new list."""

from __future__ import annotations

import asyncio

from support.owned_task import running

from fabric.control import parking
from fabric.errors import Compacted, StoreUnavailable
from fabric.plugin.reflector import Reflector, Reflectors
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put


class Flaky(MemoryStore):
    """A store that raises the given errors at the watches' starts, one each."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)
        self.starts = []
        self.lists = 0

    async def range(self, *args, **kwargs):
        self.lists += 1
        return await super().range(*args, **kwargs)

    def watch(self, prefix, *, from_revision=0):
        self.starts.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return super().watch(prefix, from_revision=from_revision)


async def put(store, **values):
    await store.txn([], [Put(f"/a/{key}", value.encode()) for key, value in values.items()])


def content(reflector):
    return {key: kv.value.decode() for key, kv in reflector.kvs.items()}


async def test_it_has_what_was_there_and_what_comes_and_not_what_went():
    store = MemoryStore()
    await put(store, one="1", two="2")
    await store.txn([], [Put("/b/other", b"")])
    reflector = Reflector(store, "/a/")
    told = []
    reflector.follow("me", lambda keys: told.append(set(keys)))
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        await put(store, three="3")
        await store.txn([], [Delete("/a/one"), Put("/a/two", b"22")])
        await asyncio.sleep(0.1)
    assert content(reflector) == {"/a/two": "22", "/a/three": "3"}
    assert reflector.revision == await store.revision()
    assert told == [{"/a/one", "/a/two"}, {"/a/three"}, {"/a/one", "/a/two"}]


async def test_who_comes_late_is_told_of_all_and_who_left_of_nothing():
    store = MemoryStore()
    await put(store, one="1")
    reflector = Reflector(store, "/a/")
    told = []
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        reflector.follow("me", lambda keys: told.append(set(keys)))
        assert told == [{"/a/one"}]
        reflector.leave("me")
        await put(store, two="2")
        await asyncio.sleep(0.1)
    assert told == [{"/a/one"}]


async def test_an_outage_is_told_and_retried_from_a_tenth_of_a_second_to_five():
    away = "the store is away"
    store = Flaky()
    await put(store, one="1")
    store.revision = lambda: failing()

    async def failing():
        store.starts.append(asyncio.get_running_loop().time())
        raise StoreUnavailable(away)

    reflector = Reflector(store, "/a/")
    store.errors = [StoreUnavailable(away)]
    async with running(reflector.run()):
        await asyncio.sleep(30)
        assert reflector.last_error == away
        assert content(reflector) == {"/a/one": "1"}
        gaps = [round(b - a, 1) for a, b in zip(store.starts, store.starts[1:], strict=False)]
        assert gaps[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
        del store.revision
        await asyncio.sleep(5)
        assert reflector.last_error == "", "the store answers, though nothing changed"


async def test_a_forgotten_revision_costs_a_new_list_with_nothing_missed():
    store = Flaky(Compacted("forgotten"))
    await put(store, one="1", two="2", three="3")
    reflector = Reflector(store, "/a/")
    told = []
    reflector.follow("me", lambda keys: told.append(set(keys)))
    lists = store.lists

    async def between():
        await asyncio.sleep(0)
        await put(store, two="22")
        await store.txn([], [Delete("/a/one")])

    async with running(reflector.run(), between()):
        await asyncio.sleep(5)
    assert content(reflector) == {"/a/two": "22", "/a/three": "3"}
    assert store.lists - lists == 2
    assert set().union(*told[1:]) == {"/a/one", "/a/two"}, "what did not change is not told again"


async def test_what_one_follower_cannot_digest_is_parked_and_the_others_hear_it(monkeypatch, caplog):
    monkeypatch.setattr(parking, "_is_on", True)
    store = MemoryStore()
    reflector = Reflector(store, "/a/")
    told = []
    reflector.follow("bad", lambda keys: keys.no_such_thing)
    reflector.follow("good", lambda keys: told.append(set(keys)))
    async with running(reflector.run()):
        await asyncio.sleep(0.1)
        await put(store, one="1")
        await asyncio.sleep(0.1)
    assert told == [set(), {"/a/one"}]
    assert "PARKED ['/a/one']" in caplog.text


async def test_a_prefix_has_one_reflector_and_those_asked_for_later_run_too():
    store = Flaky()
    reflectors = Reflectors(store)
    first = reflectors.of("/a/")
    assert reflectors.of("/a/") is first
    async with running(reflectors.run()):
        await put(store, one="1")
        later = reflectors.of("/b/")
        await asyncio.sleep(0.1)
        assert first.revision and later.revision
        assert content(first) == {"/a/one": "1"} and not later.kvs
    assert len(store.starts) == 2
