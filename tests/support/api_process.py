"""An API server on a store's file, in a process of its own: `python -P api_process.py STORE SOCKET`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from fabric.api.kinds import BUILT_IN, KindTable
from fabric.apiserver.registry import Registry
from fabric.apiserver.server import ApiServer, ServerConfig
from fabric.control.clock import LoopClock
from fabric.store.sqlite import SqliteStore


async def main(store_path: Path, socket_path: Path) -> None:
    store = await SqliteStore.open(store_path)
    registry = Registry(store, KindTable(BUILT_IN), LoopClock())
    await registry.start()
    server = ApiServer(registry, ServerConfig(socket_path=socket_path))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(registry.run())
        tasks.create_task(server.run())
        await server.started()
        print("started", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
