"""The carrier of tunl0 on one node: kept running where the kernel has no ipip, and nowhere else.

Nothing is begun or ended before somebody said which: a carrier that an earlier agent left carries packets
until then.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from calico.encapsulation import TUNL0
from fabric.errors import FabricError
from fabric.plugin.contract import IPIP_CARRIER, Daemons, Program

CARRIER = Program(TUNL0, (IPIP_CARRIER, TUNL0))
LOOK_SECONDS = 10.0
"""How often a carrier that is wanted is asked for again."""
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 5.0


class CarrierKeeper:
    """Keeps one program; `run` is its only task, everything else just notes."""

    def __init__(self, daemons: Daemons) -> None:
        self._daemons = daemons
        self.last_error = ""
        """Why the last look failed; "" when it did not."""
        self._wanted: bool | None = None
        self._done: bool | None = None
        self._changed = asyncio.Event()

    def want(self, wanted: bool) -> None:
        """Have it run, or have it end."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def poke(self) -> None:
        """Look again now: the node was off, and its programs are gone."""
        self._done = None
        if self._wanted is not None:
            self._changed.set()

    @property
    def is_settled(self) -> bool:
        """It is as was wanted last."""
        return self._done is not None and self._done == self._wanted

    async def run(self) -> None:
        """Run for ever; every FabricError is retried from 0.1 to 5 s."""
        await self._changed.wait()
        delay = RETRY_SECONDS
        while True:
            self._changed.clear()
            try:
                await self._look(bool(self._wanted))
            except FabricError as error:
                self._done, self.last_error = None, f"the carrier of {TUNL0}: {error}"
                await self._next(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
            else:
                self.last_error, delay = "", RETRY_SECONDS
                await self._next(LOOK_SECONDS if self._wanted else None)

    async def _look(self, wanted: bool) -> None:
        if wanted:
            await self._daemons.keep(CARRIER)
        else:
            await self._daemons.end(CARRIER.name)
        if not self._changed.is_set():
            self._done = wanted

    async def _next(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
