"""RemoteStore over a SqliteStore under the contract suite; losses, slow watchers and strangers."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import uvloop
from support.eventually import eventually
from support.store_contract import *  # noqa: F403
from support.store_contract import keys, put, take, told

from fabric.errors import Compacted, OutOfResources, StoreUnavailable
from fabric.frames import FRAME_BYTES_MAX
from fabric.store import wire
from fabric.store.memory import MemoryStore
from fabric.store.port import Put, Store
from fabric.store.remote import RemoteStore
from fabric.store.server import StoreServer
from fabric.store.sqlite import SqliteStore


@asynccontextmanager
async def served(store: Store, path: Path) -> AsyncIterator[None]:
    server = StoreServer(store, path)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        await server.listening.wait()
        yield
        task.cancel()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    local = await SqliteStore.open(tmp_path / "store.db")
    remote = RemoteStore(tmp_path / "store.sock")
    async with served(local, tmp_path / "store.sock"):
        yield remote
        await remote.close()
    await local.close()


async def test_a_long_range_comes_whole(store: Store) -> None:
    await store.txn((), [Put(f"/p/{i:05}", b"v" * 100) for i in range(2_345)])
    found = await store.range("/p/", limit=2_000)
    assert (len(found.kvs), found.more, found.count) == (2_000, True, 2_345)


async def test_values_that_fill_more_than_a_frame_come_whole(tmp_path: Path) -> None:
    local, value = MemoryStore(), b"v" * (1 << 20)
    names = [f"/p/{i:03}" for i in range(FRAME_BYTES_MAX // len(value) + 1)]
    for name in names:
        await local.txn((), [Put(name, value)])
    async with served(local, tmp_path / "store.sock"):
        remote = RemoteStore(tmp_path / "store.sock")
        assert await keys(remote, "/p/") == names
        events = await take(remote.watch("/p/", from_revision=2), len(names))
        assert [key for _, key, _ in told(events)] == names
        await remote.close()


def test_a_client_that_is_killed_before_its_answers_is_no_error(tmp_path: Path, caplog) -> None:
    """It dies while a long answer is under way, with another request sent."""

    async def scenario() -> None:
        local, path = MemoryStore(), tmp_path / "store.sock"
        await local.txn((), [Put("/a", b"v" * (8 << 20))])
        async with served(local, path):
            for _ in range(10):
                client = socket.socket(socket.AF_UNIX)
                client.connect(str(path))
                client.sendall(wire.frame(wire.Get(0, "/a")))
                await asyncio.sleep(0.02)
                client.sendall(wire.frame(wire.Revision(1)))
                client.close()
                await asyncio.sleep(0.02)
            remote = RemoteStore(path)
            assert await keys(remote, "/") == ["/a"]
            await remote.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert not caplog.records


def test_it_works_on_uvloop_as_on_asyncio(tmp_path: Path) -> None:
    async def scenario() -> None:
        local = await SqliteStore.open(tmp_path / "store.db")
        async with served(local, tmp_path / "store.sock"):
            remote = RemoteStore(tmp_path / "store.sock")
            watch = remote.watch("/", from_revision=2)
            await put(remote, "/a")
            assert told(await take(watch, 1)) == [("put", "/a", 2)]
            await remote.close()
        await local.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def test_the_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    async with served(MemoryStore(), tmp_path / "store.sock"):
        assert stat.S_IMODE((tmp_path / "store.sock").stat().st_mode) == 0o600


async def test_a_store_that_is_down_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    local, path = MemoryStore(), tmp_path / "store.sock"
    remote = RemoteStore(path)
    with pytest.raises(StoreUnavailable):
        await remote.get("/a")
    async with served(local, path):
        await eventually(lambda: _works(remote))
        watch = remote.watch("/", from_revision=await remote.revision() + 1)
        revision = await put(remote, "/a")
        assert told(await take(watch, 1)) == [("put", "/a", revision)]
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await put(remote, "/b")
    async with served(local, path):
        await eventually(lambda: _works(remote))
        assert await keys(remote, "/") == ["/a"]
        await remote.close()


async def test_a_socket_left_by_a_killed_server_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store.sock").touch()
    async with served(MemoryStore(), tmp_path / "store.sock"):
        remote = RemoteStore(tmp_path / "store.sock")
        assert await remote.revision() == 1
        await remote.close()


async def test_a_slow_watcher_is_cut_off_and_the_others_go_on(tmp_path: Path) -> None:
    local, path = MemoryStore(events_max=50), tmp_path / "store.sock"
    async with served(local, path):
        remote = RemoteStore(path)
        slow = remote.watch("/", from_revision=2)
        await put(remote, "/a", b"v")
        await anext(slow)
        for _ in range(600):
            await put(remote, "/a", b"v" * 1_000)
        with pytest.raises(Compacted):
            while True:
                await anext(slow)
        assert await keys(remote, "/") == ["/a"]
        await remote.close()


async def test_a_dropped_watch_ends_on_the_server(tmp_path: Path) -> None:
    local, path = MemoryStore(), tmp_path / "store.sock"
    async with served(local, path):
        remote = RemoteStore(path)
        watch = remote.watch("/", from_revision=2)
        await put(remote, "/a")
        await anext(watch)
        waiters = local._waiters._waiting
        await eventually(lambda: waiters)
        del watch
        await eventually(lambda: not waiters)
        await remote.close()


async def test_a_stranger_on_the_socket_disturbs_nobody(tmp_path: Path) -> None:
    local, path = MemoryStore(), tmp_path / "store.sock"
    async with served(local, path):
        remote = RemoteStore(path)
        await put(remote, "/a")
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x02\xc1\xc1"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(noise)
            assert await reader.read() == b""
            writer.close()
        assert await keys(remote, "/") == ["/a"]
        await remote.close()


async def _works(store: Store) -> bool:
    try:
        return await store.revision() > 0
    except StoreUnavailable:
        return False


async def test_a_full_disk_is_told_as_what_it_is(tmp_path: Path) -> None:
    class FullStore(MemoryStore):
        async def txn(self, compares: object, success: object) -> NoReturn:
            raise OutOfResources("the disk is full: free some of it")

    async with served(FullStore(), tmp_path / "store.sock"):
        remote = RemoteStore(tmp_path / "store.sock")
        with pytest.raises(OutOfResources, match="free some of it"):
            await put(remote, "/a")
        await remote.close()
