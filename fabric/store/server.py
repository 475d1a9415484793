"""Serving a store on a unix socket: the API server's process holds it, plugins reach it here.

Each connection has a bounded number of requests in work; while they are at the bound it is not read,
so a flood waits in its sender. A watch is read no faster than its peer takes it: a slow one falls
off the store's history and ends with Compacted. The socket is for its owner only (0600).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

from fabric.errors import FabricError
from fabric.frames import BadFrame, Frames
from fabric.store import wire
from fabric.store.port import Compare, Delete, KeyValue, ModRevision, NoneNewer, Put, RangeResult, Store

REQUESTS_MAX = 4_096
"""In work at once, watches included, for each connection."""
READ_BYTES = 1 << 18
PART_KEYS = 500
PART_BYTES = 1 << 20
"""How much of a range goes into one frame: whichever is reached first, with one key at least."""

_log = logging.getLogger(__name__)


class StoreServer:
    """`run()` serves until cancelled; `listening` is set once clients can connect."""

    def __init__(self, store: Store, socket_path: Path) -> None:
        self._store = store
        self._path = socket_path
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Replaces a socket file that a killed predecessor left. OSError when the path cannot be bound."""
        async with asyncio.TaskGroup() as group:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                group.create_task(_Connection(self._store, reader, writer).run())

            server = await asyncio.start_unix_server(connected, sock=_listen(self._path))
            self.listening.set()
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                self._path.unlink(missing_ok=True)


class _Connection:
    """A client's connection: reads requests, works on each in a task, writes answers as they come."""

    def __init__(self, store: Store, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._room = asyncio.Semaphore(REQUESTS_MAX)
        self._watches: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until the peer goes, or sends what is no request: that ends this connection, never the server."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._read_requests(group)
                for task in tuple(self._watches.values()):
                    task.cancel()
        except* (OSError, BadFrame):
            pass
        except* Exception:
            _log.exception("a connection to the store ends")
        finally:
            self._writer.close()

    async def _read_requests(self, group: asyncio.TaskGroup) -> None:
        frames = Frames()
        while data := await self._reader.read(READ_BYTES):
            for body in frames.feed(data):
                request = wire.request_of(body)
                if request.id in self._watches and not isinstance(request, wire.Cancel):
                    raise BadFrame(f"id {request.id} is that of a watch")
                if isinstance(request, wire.Cancel):
                    if watch := self._watches.pop(request.id, None):
                        watch.cancel()
                    continue
                await self._room.acquire()
                task = group.create_task(self._serve(request))
                task.add_done_callback(lambda _: self._room.release())
                if isinstance(request, wire.Watch):
                    self._watches[request.id] = task

    async def _serve(self, request: wire.AnyRequest) -> None:
        try:
            match request:
                case wire.Watch():
                    await self._serve_watch(request)
                case wire.Range():
                    await self._serve_range(request)
                case _:
                    await self._send(wire.answer(request.id, await self._answer(request)))
        except (FabricError, ValueError) as error:
            await self._send(wire.failure(request.id, error))
        except OSError:
            raise
        except Exception as bug:
            _log.exception("store: %s", type(request).__name__)
            why = FabricError(f"internal error of the store: {type(bug).__name__}: {bug}")
            await self._send(wire.failure(request.id, why))
        finally:
            self._watches.pop(request.id, None)

    async def _serve_watch(self, request: wire.Watch) -> None:
        watch = self._store.watch(request.prefix, from_revision=request.from_revision)
        async for events in watch:
            await self._send(wire.answer(request.id, events, last=False))

    async def _serve_range(self, request: wire.Range) -> None:
        """Answer a range in parts, so that a long list does not hold up every other answer."""
        found = await self._store.range(
            request.prefix,
            start_after=request.start_after,
            limit=request.limit,
            revision=request.revision,
        )
        for kvs, is_last in _parts(found.kvs):
            part = RangeResult(kvs, found.revision, found.more, found.count)
            await self._send(wire.answer(request.id, part, last=is_last))

    async def _answer(self, request: wire.AnyRequest) -> object:
        match request:
            case wire.Get(key=key):
                return await self._store.get(key)
            case wire.Txn():
                return await self._store.txn(*_transaction(request))
            case wire.Grant(ttl_seconds=ttl_seconds):
                return await self._store.grant(ttl_seconds)
            case wire.KeepAlive(lease=lease):
                return await self._store.keep_alive(lease)
            case wire.Revoke(lease=lease):
                await self._store.revoke(lease)
                return None
            case wire.TimeToLive(lease=lease):
                return await self._store.time_to_live(lease)
            case wire.Revision():
                return await self._store.revision()
            case wire.Compact(revision=revision):
                await self._store.compact(revision)
                return None
            case _:
                raise AssertionError(f"{request} is no request with one answer")

    async def _send(self, reply: wire.Answer | wire.Failure) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the client is gone")  # uvloop's own word is no OSError
        self._writer.write(wire.frame(reply))
        await self._writer.drain()


def _parts(kvs: tuple[KeyValue, ...]) -> Iterator[tuple[tuple[KeyValue, ...], bool]]:
    """The keys and values in parts, each with True if it is the last; of none there is one empty part."""
    start, size = 0, 0
    for index, kv in enumerate(kvs):
        if index > start and (index - start == PART_KEYS or size + len(kv.value) > PART_BYTES):
            yield kvs[start:index], False
            start, size = index, 0
        size += len(kv.value)
    yield kvs[start:], True


def _transaction(request: wire.Txn) -> tuple[list[Compare], list[Put | Delete]]:
    compares: list[Compare] = [
        NoneNewer(key, revision) if below else ModRevision(key, revision)
        for key, revision, below in request.compares
    ]
    ops: list[Put | Delete] = [
        Delete(key) if value is None else Put(key, value, lease) for key, value, lease in request.ops
    ]
    return compares, ops


def _listen(path: Path) -> socket.socket:
    """A listening socket; nobody can connect before its file is its owner's only."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
