"""A loop reconciles one thing for ever: when it is triggered, at each resync, and again after each refusal.

It is what `Controller` is for many keys: a lease, a daemon, a namespace's state. Level-triggered: a trigger
says that something changed, never what.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fabric.control import parking
from fabric.control.backoff import SHORT, Backoff, jittered
from fabric.errors import refusal_in

RESYNC_JITTER = 0.25

log = logging.getLogger(__name__)


class Loop:
    """A loop calls `reconcile` whenever there is a reason to; `run` is its only task."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[], Awaitable[float | None]],
        *,
        resync_seconds: float | None = None,
        backoff: Backoff = SHORT,
        on_pass: Callable[[], None] | None = None,
    ) -> None:
        """`reconcile` may return the seconds after which it wants to be called again.

        Where it returns None that is after `resync_seconds` with jitter, or, without, at the next trigger.
        `on_pass` is called after each pass, well or not.
        """
        self.name = name
        self.backoff = backoff
        """How refusals are spaced; a pass may choose another for what it does next."""
        self.last_error = ""
        """What the last pass was refused, or empty."""
        self._reconcile = reconcile
        self._resync_seconds = resync_seconds
        self._on_pass = on_pass
        self._failures = 0
        self._wake = asyncio.Event()
        self._is_converged = False
        self._passed: asyncio.Future[None] | None = None
        """Done at the end of the next pass, if anybody waits for it."""

    def trigger(self) -> None:
        """Have it reconcile now, or once more if it is at it."""
        self._is_converged = False
        self._wake.set()

    @property
    def is_converged(self) -> bool:
        """True when the last pass went through and nothing was triggered since it began."""
        return self._is_converged

    def is_well(self) -> None:
        """Say in the midst of a long pass that it goes well: its refusal would be the first again."""
        self._failures, self.last_error = 0, ""

    async def next_pass(self) -> None:
        """Wait until a pass has ended, well or not: the one that runs, or the next."""
        if self._passed is None:
            self._passed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._passed)

    async def run(self) -> None:
        """Run for ever.

        A refusal (`refusal_in`) is retried after the back-off, or at the next trigger; so is, after a long
        back-off, a bug, where parking is on. Else a bug ends the run.
        """
        while True:
            self._wake.clear()
            with suppress(TimeoutError):
                seconds = await self._pass()
                self._tell_of_pass()
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _pass(self) -> float | None:
        """Reconcile once and return how long to wait for a trigger."""
        try:
            seconds = await self._reconcile()
        except Exception as error:
            return self._failed(error)
        self.is_well()
        self._is_converged = not self._wake.is_set()
        if seconds is None and self._resync_seconds is not None:
            return jittered(self._resync_seconds, RESYNC_JITTER)
        return seconds

    def _tell_of_pass(self) -> None:
        if self._on_pass is not None:
            self._on_pass()
        passed, self._passed = self._passed, None
        if passed is not None and not passed.done():
            passed.set_result(None)

    def _failed(self, error: Exception) -> float:
        self._is_converged = False
        self._failures += 1
        refusal = refusal_in(error)
        if refusal is None:
            delay = parking.BACKOFF.seconds(self._failures)
            parking.park(log, self.name, "", error, delay)
            self.last_error = f"a bug in fabric, see its log: {type(error).__name__}: {error}"
            return delay
        delay = self.backoff.seconds(self._failures)
        if str(refusal) != self.last_error:
            log.info("%s: %s (again in %.1f s)", self.name, refusal, delay)
        self.last_error = str(refusal)
        return delay
