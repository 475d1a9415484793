"""The listener for components: a unix socket on which the cluster's own processes speak in frames.

The socket is for its owner only (0600), as the one that speaks HTTP: whoever may open it may do everything.
A request is a task of its own. Reads and watches end with their connection; a write runs to its end even
when the client hangs up. A connection with too many requests under way is not read until some are done, and
a client that does not take its answers gets no more of them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import orjson

from fabric.apiserver import status
from fabric.apiserver.component_requests import ComponentRequests
from fabric.apiserver.connections import BACKLOG
from fabric.apiserver.listeners import unix_socket
from fabric.control import wire
from fabric.errors import ApiError, FabricError
from fabric.frames import BadFrame, Frames

REQUESTS_MAX = 4096
"""Requests of one connection under way at once, watches included."""

_log = logging.getLogger(__name__)


class ComponentListener:
    """The listener at `path`, which accepts while it is entered; `writes` owns the writes in flight."""

    def __init__(self, path: Path, requests: ComponentRequests, writes: asyncio.TaskGroup) -> None:
        self._path = path
        self._requests = requests
        self._writes = writes
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> ComponentListener:
        self._reads = asyncio.TaskGroup()
        await self._reads.__aenter__()
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._connection, sock=unix_socket(self._path), backlog=BACKLOG
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._reads.__aexit__(None, None, None)

    def _connection(self) -> asyncio.Protocol:
        return _Connection(self._requests, self._reads, self._writes, self._connections)


class _Connection(asyncio.Protocol):
    """A component's connection: its requests that are under way, and the way back."""

    def __init__(
        self,
        requests: ComponentRequests,
        reads: asyncio.TaskGroup,
        writes: asyncio.TaskGroup,
        connections: set[_Connection],
    ) -> None:
        self._requests = requests
        self._reads = reads
        self._writes = writes
        self._connections = connections
        self._frames = Frames()
        self._read_tasks: dict[int, asyncio.Task[None]] = {}
        self._under_way = 0
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()

    def abort(self) -> None:
        """End the connection, and its reads with it."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        self._connections.discard(self)
        for task in self._read_tasks.values():
            task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._begin(wire.request_of(body))
        except BadFrame as error:
            _log.warning("a component's connection ends: it sent %s", error)
            self.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _begin(self, request: wire.AnyRequest) -> None:
        if isinstance(request, wire.Cancel):
            if task := self._read_tasks.get(request.id):
                task.cancel()
            return
        is_write = isinstance(request, wire.Write)
        if request.id in self._read_tasks:
            raise BadFrame(f"id {request.id}, which is under way")
        task = (self._writes if is_write else self._reads).create_task(self._work(request))
        if not is_write:
            self._read_tasks[request.id] = task
        task.add_done_callback(lambda _: self._done(request.id))
        self._under_way += 1
        if self._under_way == REQUESTS_MAX and self._transport is not None:
            self._transport.pause_reading()

    def _done(self, id_: int) -> None:
        self._read_tasks.pop(id_, None)
        self._under_way -= 1
        if self._under_way == REQUESTS_MAX - 1 and self._transport is not None:
            self._transport.resume_reading()

    async def _work(self, request: wire.AnyRequest) -> None:
        try:
            await self._serve(request)
        except FabricError as error:
            await self._refuse(request, status.api_error(error))
        except Exception as bug:
            await self._refuse(request, status.unexpected(type(request).__name__, bug))

    async def _serve(self, request: wire.AnyRequest) -> None:
        match request:
            case wire.Watch():
                async with aclosing(cast(Any, self._requests.watch(request))) as events:
                    async for event, body in events:
                        await self._send(wire.Event(request.id, event.type, body))
            case wire.List():
                for part, is_last in await self._requests.list(request):
                    await self._send(wire.Answer(request.id, part, is_last))
            case wire.Get() | wire.Create() | wire.Update() | wire.Patch() | wire.Delete():
                await self._send(wire.Answer(request.id, await self._requests.answer(request)))

    async def _refuse(self, request: wire.Request, error: ApiError) -> None:
        await self._send(wire.Failure(request.id, orjson.dumps(status.failure(error))))

    async def _send(self, reply: wire.Reply) -> None:
        if not self._writable.is_set():
            await self._writable.wait()
        if self._transport is not None:
            self._transport.write(wire.frame(reply))
