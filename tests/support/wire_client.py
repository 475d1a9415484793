"""Bytes to and from an API server without a socket: its HTTP connections on a transport in memory.

Everything but the kernel's part is the server's own: the HTTP parser, limits, authentication, registry and
store. In virtual time a watch of an hour is over at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fabric.api.kinds import BUILT_IN, Kind, KindTable
from fabric.apiserver.connections import Limits, Server
from fabric.apiserver.listeners import http_server
from fabric.apiserver.registry import Registry
from fabric.apiserver.server import ApiServer, ServerConfig
from fabric.control.clock import LoopClock
from fabric.store.memory import MemoryStore

ANSWER_SECONDS_MAX = 4000.0
"""Longer than any watch."""


class WireClient:
    """A client that sends bytes and reads all that comes back until the server hangs up."""

    def __init__(self, http: Server, registry: Registry) -> None:
        self._http = http
        self.registry = registry

    async def exchange(self, data: bytes) -> bytes:
        """The server's bytes; the client says nothing more than `data`, and keeps the connection open."""
        transport = _MemoryTransport()
        connection = self._http()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(data)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await transport.closed.wait()
        return bytes(transport.sent)


class _MemoryTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = asyncio.Event()
        self._protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Any) -> None:
        self.sent += data

    def writelines(self, list_of_data: Any) -> None:
        self.sent += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


@asynccontextmanager
async def wire_client(kinds: tuple[Kind, ...] = BUILT_IN) -> AsyncIterator[WireClient]:
    """Serve from an empty store until the block ends."""
    clock = LoopClock()
    store = MemoryStore()
    registry = Registry(store, KindTable(kinds), clock)
    await registry.start()
    server = ApiServer(registry, ServerConfig(clock=clock))
    http = http_server(server._trusted, Limits())
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(registry.run()), group.create_task(server.run())]
            await server.started()
            yield WireClient(http, registry)
            for task in tasks:
                task.cancel()
    finally:
        await store.close()
