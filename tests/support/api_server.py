"""A whole API server for one test: registry, memory store, unix sockets and TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fabric.api.kinds import BUILT_IN, Kind, KindTable
from fabric.apiserver.certificates import Pki
from fabric.apiserver.connections import Limits
from fabric.apiserver.kubeconfig import kubeconfig
from fabric.apiserver.registry import Registry
from fabric.apiserver.server import ApiServer, ServerConfig
from fabric.control.clock import LoopClock
from fabric.store.memory import MemoryStore
from fabric.store.port import Store

DEFAULT_LIMITS = Limits()
TOKEN = "token-of-the-test"


@dataclass(frozen=True)
class Running:
    """A server that accepts connections."""

    server: ApiServer
    registry: Registry
    store: Store
    pki: Pki
    socket_path: Path
    components_path: Path

    @property
    def url(self) -> str:
        host, port = self.server.addresses[0]
        return f"https://{host}:{port}"

    @property
    def kubeconfig(self) -> str:
        return kubeconfig("test", self.url, self.pki)


@asynccontextmanager
async def api_server(
    directory: Path, kinds: tuple[Kind, ...] = BUILT_IN, *, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[Running]:
    """Serve from an empty store until the block ends; files go to `directory`."""
    clock = LoopClock()
    store = MemoryStore()
    registry = Registry(store, KindTable(kinds), clock)
    await registry.start()
    pki = Pki.load_or_create(directory / "pki")
    config = ServerConfig(
        socket_path=directory / "api.sock",
        components_path=directory / "components.sock",
        tls=[("127.0.0.1", 0)],
        pki=pki,
        tokens={TOKEN: "tester"},
        clock=clock,
        limits=limits,
    )
    server = ApiServer(registry, config)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(registry.run()), group.create_task(server.run())]
            await server.started()
            paths = directory / "api.sock", directory / "components.sock"
            yield Running(server, registry, store, pki, *paths)
            for task in tasks:
                task.cancel()
    finally:
        await store.close()
