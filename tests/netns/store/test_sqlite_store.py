"""SqliteStore under the contract suite, and what a restart keeps and forgets."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.store_contract import *  # noqa: F403
from support.store_contract import keys, put, take, told

from fabric.errors import Compacted, FabricError
from fabric.store.port import Delete, Store
from fabric.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = await SqliteStore.open(tmp_path / "store.db")
    yield made
    await made.close()


async def test_a_restart_keeps_the_present_and_the_revision(tmp_path: Path) -> None:
    first = await SqliteStore.open(tmp_path / "store.db")
    await put(first, "/a", b"1")
    await put(first, "/b")
    await put(first, "/a", b"2")
    revision = (await first.txn((), [Delete("/b")])).revision
    before = await first.range("/")
    await first.close()
    second = await SqliteStore.open(tmp_path / "store.db")
    assert await second.range("/") == before and await second.revision() == revision
    with pytest.raises(Compacted):
        await anext(second.watch("/", from_revision=revision))
    watch = second.watch("/", from_revision=revision + 1)
    await put(second, "/c")
    assert told(await take(watch, 1)) == [("put", "/c", revision + 1)]
    await second.close()


async def test_a_restart_gives_a_lease_its_time_anew(tmp_path: Path) -> None:
    first = await SqliteStore.open(tmp_path / "store.db")
    lease = await first.grant(1)
    revision = await put(first, "/a", b"", lease)
    await first.close()
    second = await SqliteStore.open(tmp_path / "store.db")
    assert await second.time_to_live(lease) == 1
    watch = second.watch("/", from_revision=revision + 1)
    assert told(await take(watch, 1)) == [("delete", "/a", revision + 1)]
    assert await keys(second, "/") == []
    await second.close()


async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FabricError, match="schema version 99"):
        await SqliteStore.open(tmp_path / "store.db")


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database" * 100)
    with pytest.raises(FabricError, match="not a database"):
        await SqliteStore.open(tmp_path / "store.db")


async def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    with pytest.raises(FabricError, match="locked"):
        await SqliteStore.open(tmp_path / "store.db")
    await store.close()
