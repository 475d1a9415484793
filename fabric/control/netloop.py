"""The one loop over a host: desired state in, the smallest plan out, drift repaired.

Desired and actual state are both kept. A change of the desired state costs its difference and no
read; the kernel is read at the start, every `resync_seconds`, after `poke`, after a replaced
device (which takes its addresses and routes with it) and after a refusal. Nothing is ever
deleted before somebody said what is wanted.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from fabric.errors import FabricError, KernelRefused
from fabric.netstate.objects import Link, NetState
from fabric.netstate.plan import Plan, diff
from fabric.netstate.port import Host, Owner

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
"""What was refused because a cable was pulled may be possible at any moment again, and nobody says when."""

log = logging.getLogger(__name__)


class NetLoop:
    """Keeps what `owner` has in one namespace equal to what is wanted there."""

    def __init__(self, host: Host, owner: Owner, *, resync_seconds: float = 5.0, name: str = "") -> None:
        self.name = name or f"{owner.name} on {host.name}"
        self._host = host
        self._owner = owner
        self._resync_seconds = resync_seconds
        self._desired: NetState | None = None
        self._actual: NetState = frozenset()
        """What stands in the kernel as far as is known."""
        self._stale = True
        """True when the kernel must be read before anything is computed."""
        self._read_at = 0.0
        self._careful = False
        """True after a refusal: one bad step must not hold up the others again."""
        self._last_error = ""
        self._wake = asyncio.Event()

    def want(self, desired: NetState) -> None:
        """Set the desired state and wake the loop; a state equal to the last one does nothing."""
        if desired != self._desired:
            self._desired = desired
            self._wake.set()

    def poke(self) -> None:
        """Read the kernel again now: somebody says that it has changed."""
        self._stale = True
        self._wake.set()

    @property
    def settled(self) -> bool:
        """True when the kernel, as last seen, is as was wanted last."""
        return self._actual is self._desired and not self._stale

    @property
    def last_error(self) -> str:
        """What the last pass was refused, or empty."""
        return self._last_error

    async def run(self) -> None:
        """Keep the state for ever.

        A FabricError is retried after 0.1 s, doubling to 2 s, and at once when a new state is wanted.
        """
        delay = RETRY_SECONDS
        while True:
            self._wake.clear()
            try:
                await self._reconcile()
            except FabricError as error:
                log.info("%s: %s (again in %.1f s)", self.name, error, delay)
                self._last_error = str(error)
                self._stale = self._careful = True
                await self._sleep(delay)
                delay = min(delay * 2, RETRY_SECONDS_MAX)
            else:
                self._last_error = ""
                self._careful = False
                delay = RETRY_SECONDS
                await self._sleep(self._idle_seconds())

    async def _reconcile(self) -> None:
        """Bring the kernel to what was wanted when it began, or raise the FabricError."""
        desired = self._desired
        if desired is None:
            return
        plan = await self._pass(desired)
        if any(step.verb == "replace" and isinstance(step.obj, Link) for step in plan.steps):
            self._stale = True
            await self._pass(desired)
        self._actual = desired

    async def _pass(self, desired: NetState) -> Plan:
        """Read if need be, compute, apply; return what was done."""
        loop = asyncio.get_running_loop()
        if self._stale or loop.time() >= self._read_at + self._resync_seconds:
            self._stale = False
            self._actual = await self._host.read(self._owner)
            self._read_at = loop.time()
        # Equal objects need no step: only the difference is looked at by key, in Python.
        plan = diff(desired - self._actual, self._actual - desired)
        if plan:
            await self._carry_out(plan)
        return plan

    async def _carry_out(self, plan: Plan) -> None:
        if not self._careful:
            await self._host.apply(plan)
            return
        refusals = await self._apply_what_can_be(plan)
        if refusals:
            raise refusals[0]

    async def _apply_what_can_be(self, plan: Plan) -> list[KernelRefused]:
        """Apply the plan in ever smaller halves around the steps that are refused; return the refusals."""
        try:
            await self._host.apply(plan)
        except KernelRefused as refusal:
            if len(plan.steps) == 1:
                return [refusal]
        else:
            return []
        half = len(plan.steps) // 2
        return [
            *await self._apply_what_can_be(Plan(plan.steps[:half])),
            *await self._apply_what_can_be(Plan(plan.steps[half:])),
        ]

    def _idle_seconds(self) -> float | None:
        if self._desired is None:
            return None
        return self._read_at + self._resync_seconds - asyncio.get_running_loop().time()

    async def _sleep(self, seconds: float | None) -> None:
        """Until woken, or for `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
