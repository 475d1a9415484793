"""Connections to the runtimes of a cluster, for as long as a `with` lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fabric.cluster.places import Places
from fabric.errors import FabricError
from fabric.runtime.client import RuntimeClient

CONNECT_SECONDS_MAX = 5.0


@asynccontextmanager
async def connection(places: Places, worker: int) -> AsyncIterator[RuntimeClient]:
    """A connected client of that worker's runtime; FabricError when it does not answer in 5 s."""
    runtime = RuntimeClient(places.runtime_socket(worker))
    running = asyncio.ensure_future(runtime.run())
    try:
        try:
            await asyncio.wait_for(runtime.connected(), CONNECT_SECONDS_MAX)
        except TimeoutError:
            raise FabricError(
                f"runtime-{worker} does not answer; see {places.logs}/runtime-{worker}.log"
            ) from None
        yield runtime
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def all_connections(places: Places, workers: int) -> AsyncIterator[list[RuntimeClient]]:
    """Connected clients of all runtimes of the cluster."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connection(places, index)) for index in range(workers)]


async def sandbox_pids(places: Places, workers: int) -> dict[str, int]:
    """Pid of the pause process of every living pod, by the pod's UID."""
    async with all_connections(places, workers) as runtimes:
        found = [await runtime.sandboxes() for runtime in runtimes]
    return {sandbox.id: sandbox.pid for sandboxes in found for sandbox in sandboxes if sandbox.alive}
