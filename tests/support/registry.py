"""A registry on a memory store, running, for one test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fabric.api.kinds import BUILT_IN, Kind, KindTable
from fabric.api.objects import Object
from fabric.apiserver.admission import Plugin
from fabric.apiserver.registry import Registry
from fabric.control.clock import LoopClock
from fabric.store.memory import MemoryStore
from fabric.store.port import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def running(registry: Registry) -> AsyncIterator[Registry]:
    """Start the registry and keep it running until the block ends."""
    await registry.start()
    task = asyncio.create_task(registry.run())
    try:
        yield registry
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def new_registry(
    store: Store | None = None, *more: Kind, plugins: Sequence[Plugin] = ()
) -> AsyncIterator[Registry]:
    """A registry of its own on `store`, else on an empty one, from the first second of 2026 on."""
    own = store or MemoryStore()
    async with running(Registry(own, KindTable((*BUILT_IN, *more)), LoopClock(START), plugins)) as registry:
        yield registry
    if store is None:
        await own.close()


def pod(name: str = "pod-1", **spec: Any) -> Object:
    """A pod's manifest, as short as it gets."""
    containers = [{"name": "main", "image": "busybox:1.36"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


def config_map(name: str = "map-1", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
