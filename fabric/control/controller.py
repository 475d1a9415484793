"""A controller reconciles keys: level-triggered, and a key that fails never stops the others.

An event only names a key; reconcile reads the rest itself. A `FabricError` is the world saying no: the key
comes back after a delay that doubles with each failure in a row. Any other exception parks the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from fabric.control import parking
from fabric.control.backoff import LONG, Backoff
from fabric.control.workqueue import WorkQueue
from fabric.errors import FabricError, refusal_in

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)


class Controller(Generic[K]):
    """A controller takes keys off its queue and reconciles them, never one key twice at once.

    `queue` is open from the start: informers' handlers add to it, and reconcile may ask for a
    later pass with `queue.add_after`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[None]],
        *,
        workers: int = 1,
        backoff: Backoff = LONG,
        on_park: Callable[[K, Exception], None] | None = None,
    ) -> None:
        """`on_park` is told of each key that is parked, to write an Event on its object; must not raise."""
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue()
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff
        self._on_park = on_park
        self._failures: dict[K, int] = {}

    async def run(self) -> None:
        """Work for ever with `workers` keys at a time; a bug ends it only where parking is off."""
        async with asyncio.TaskGroup() as workers:
            for number in range(self._workers):
                workers.create_task(self._work(), name=f"{self.name}-{number}")

    async def _work(self) -> None:
        while True:
            await self._reconcile_next(await self.queue.get())

    async def _reconcile_next(self, key: K) -> None:
        try:
            await self._reconcile(key)
        except Exception as error:
            refusal = refusal_in(error)
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if refusal is None:
                self._park(key, error, failures)
            else:
                self._retry_later(key, refusal, failures)
        else:
            self._failures.pop(key, None)
        finally:
            self.queue.done(key)

    def _retry_later(self, key: K, error: FabricError, failures: int) -> None:
        delay = self._backoff.seconds(failures)
        log.info("%s: %s: %s (again in %.1f s)", self.name, key, error, delay)
        self.queue.add_after(key, delay)

    def _park(self, key: K, bug: Exception, failures: int) -> None:
        delay = parking.BACKOFF.seconds(failures)
        parking.park(log, self.name, key, bug, delay)
        if self._on_park is not None:
            self._on_park(key, bug)
        self.queue.add_after(key, delay)
