"""The Store protocol over a store server's unix socket.

Connects when first used and again after a loss, with a doubling delay between tries; while the
store is down every call raises StoreUnavailable at once. A write that meets StoreUnavailable may
or may not have happened, as with etcd: read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from fabric.errors import StoreUnavailable
from fabric.store import wire
from fabric.store.connection import Connection, Stream
from fabric.store.port import Compare, Delete, KeyValue, ModRevision, Put, RangeResult, StoreEvent, TxnResult

CONNECT_SECONDS_MAX = 2.0
ANSWER_SECONDS_MAX = 10.0
RETRY_SECONDS = 0.05
RETRY_SECONDS_MAX = 2.0
T = TypeVar("T")

_kv = msgspec.msgpack.Decoder(KeyValue | None)
_range = msgspec.msgpack.Decoder(RangeResult)
_txn = msgspec.msgpack.Decoder(TxnResult)
_events = msgspec.msgpack.Decoder(tuple[StoreEvent, ...])
_int = msgspec.msgpack.Decoder(int)
_nothing = msgspec.msgpack.Decoder(None)


class RemoteStore:
    """A store in another process; may be made before any loop runs."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._connection = Connection(str(socket_path))
        self._connecting = asyncio.Lock()
        self._retry_seconds = RETRY_SECONDS
        self._next_try = 0.0
        self._closed = False

    async def get(self, key: str) -> KeyValue | None:
        return await self._ask(lambda id_: wire.Get(id_, key), _kv)

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        connection = await self._connected()
        id_, stream = await connection.ask(lambda id_: wire.Range(id_, prefix, start_after, limit, revision))
        kvs: list[KeyValue] = []
        try:
            while True:
                answer = await _in_time(stream)
                part = _range.decode(answer.body)
                kvs += part.kvs
                if answer.last:
                    return RangeResult(tuple(kvs), part.revision, part.more, part.count)
        finally:
            connection.forget(id_)

    async def txn(self, compares: Sequence[Compare], success: Sequence[Put | Delete]) -> TxnResult:
        conditions = tuple(map(_condition, compares))
        ops = tuple(map(_op, success))
        return await self._ask(lambda id_: wire.Txn(id_, conditions, ops), _txn)

    def watch(self, prefix: str, *, from_revision: int = 0) -> RemoteWatch:
        """Watch keys under a prefix; without `from_revision`, from the first `anext` on."""
        return RemoteWatch(self._connected, prefix, from_revision)

    async def grant(self, ttl_seconds: int) -> int:
        return await self._ask(lambda id_: wire.Grant(id_, ttl_seconds), _int)

    async def keep_alive(self, lease: int) -> int:
        return await self._ask(lambda id_: wire.KeepAlive(id_, lease), _int)

    async def revoke(self, lease: int) -> None:
        await self._ask(lambda id_: wire.Revoke(id_, lease), _nothing)

    async def time_to_live(self, lease: int) -> int:
        return await self._ask(lambda id_: wire.TimeToLive(id_, lease), _int)

    async def revision(self) -> int:
        return await self._ask(wire.Revision, _int)

    async def compact(self, revision: int) -> None:
        await self._ask(lambda id_: wire.Compact(id_, revision), _nothing)

    async def close(self) -> None:
        self._closed = True
        self._connection.close()

    async def _ask(self, make: Callable[[int], wire.Request], answer: msgspec.msgpack.Decoder[T]) -> T:
        connection = await self._connected()
        id_, stream = await connection.ask(make)
        try:
            return answer.decode((await _in_time(stream)).body)
        finally:
            connection.forget(id_)

    async def _connected(self) -> Connection:
        """The connection, made anew if it is lost and the delay since the last failure is over."""
        async with self._connecting:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if not self._connection.is_open:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_try:
            raise StoreUnavailable(f"the store at {self._path} is down")
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(str(self._path)), str(self._path)
                )
        except OSError as error:
            self._next_try = loop.time() + self._retry_seconds
            self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS_MAX)
            raise StoreUnavailable(f"the store at {self._path} is down: {error}") from error
        self._retry_seconds = RETRY_SECONDS
        return connection


class RemoteWatch(AsyncIterator[Sequence[StoreEvent]]):
    """A watch on the server; dropping it ends it there."""

    def __init__(self, connected: Callable[[], Any], prefix: str, from_revision: int) -> None:
        self._connected = connected
        self._prefix = prefix
        self._from_revision = from_revision
        self._connection: Connection | None = None
        self._id = 0
        self._stream: Stream | None = None

    async def __anext__(self) -> Sequence[StoreEvent]:
        if self._stream is None:
            connection: Connection = await self._connected()
            self._id, self._stream = await connection.ask(
                lambda id_: wire.Watch(id_, self._prefix, self._from_revision)
            )
            self._connection = connection
        return _events.decode(cast(wire.Answer, await self._stream.next()).body)

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.forget(self._id)


def _condition(compare: Compare) -> tuple[str, int, bool]:
    if isinstance(compare, ModRevision):
        return compare.key, compare.equals, False
    return compare.prefix, compare.revision, True


def _op(op: Put | Delete) -> tuple[str, bytes | None, int]:
    return (op.key, op.value, op.lease) if isinstance(op, Put) else (op.key, None, 0)


async def _in_time(stream: Stream) -> wire.Answer:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return cast(wire.Answer, await stream.next())
    except TimeoutError as error:
        raise StoreUnavailable(f"the store gave no answer in {ANSWER_SECONDS_MAX:.0f} s") from error
