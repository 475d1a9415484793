"""The loop around a reconcile: level-triggered, retried with back-off, ended by a bug.

An event only names a key; reconcile reads the rest itself. A `FabricError` is the world saying
no: the key comes back after a delay that doubles with each failure in a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from fabric.control.workqueue import WorkQueue
from fabric.errors import FabricError

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)


class Controller(Generic[K]):
    """Takes keys off its queue and reconciles them, never one key twice at once.

    `queue` is open from the start: informers' handlers add to it, and reconcile may ask for a
    later pass with `queue.add_after`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[None]],
        *,
        workers: int = 1,
        retry_seconds: float = 0.1,
        retry_seconds_max: float = 60.0,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue()
        self._reconcile = reconcile
        self._workers = workers
        self._retry_seconds = retry_seconds
        self._retry_seconds_max = retry_seconds_max
        self._delays: dict[K, float] = {}

    async def run(self) -> None:
        """Work for ever with `workers` keys at a time; a bug in reconcile ends it, as an exception group."""
        async with asyncio.TaskGroup() as workers:
            for number in range(self._workers):
                workers.create_task(self._work(), name=f"{self.name}-{number}")

    async def _work(self) -> None:
        while True:
            await self._reconcile_next(await self.queue.get())

    async def _reconcile_next(self, key: K) -> None:
        try:
            await self._reconcile(key)
        except FabricError as error:
            self._retry_later(key, error)
        else:
            self._delays.pop(key, None)
        finally:
            self.queue.done(key)

    def _retry_later(self, key: K, error: FabricError) -> None:
        delay = self._delays.get(key, self._retry_seconds)
        self._delays[key] = min(delay * 2, self._retry_seconds_max)
        log.info("%s: %s: %s (again in %.1f s)", self.name, key, error, delay)
        self.queue.add_after(key, delay)
