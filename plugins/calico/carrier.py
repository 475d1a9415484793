"""The carrier of tunl0 is kept running on a node whose kernel has no ipip, and on no other.

Nothing is begun or ended before the agent said which: a carrier that an earlier agent left carries packets
until then.
"""

from __future__ import annotations

from calico.encapsulation import TUNL0
from fabric.control.loop import Loop
from fabric.plugin.contract import IPIP_CARRIER, Daemons, Program

CARRIER = Program(TUNL0, (IPIP_CARRIER, TUNL0))
LOOK_SECONDS = 60.0
"""How often a carrier is asked for again: the runtime starts one that ends again, without a look."""


class CarrierKeeper:
    """The keeper of the program; `run` is its only task, everything else just notes."""

    def __init__(self, daemons: Daemons) -> None:
        self._daemons = daemons
        self._wanted: bool | None = None
        self._loop = Loop(f"the carrier of {TUNL0}", self._reconcile, resync_seconds=LOOK_SECONDS)

    def want(self, wanted: bool) -> None:
        """Have it run, or have it end."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._loop.poke()

    def poke(self) -> None:
        """Look again now: the node was off, and its programs are gone."""
        self._loop.poke()

    @property
    def is_settled(self) -> bool:
        """It is as was wanted last."""
        return self._wanted is not None and self._loop.is_settled

    @property
    def last_error(self) -> str:
        """Why the last look failed; empty when it did not."""
        return self._loop.last_error and f"{self._loop.name}: {self._loop.last_error}"

    async def run(self) -> None:
        """Run for ever; every FabricError is retried."""
        await self._loop.run()

    async def _reconcile(self) -> None:
        if self._wanted:
            await self._daemons.keep(CARRIER)
        elif self._wanted is not None:
            await self._daemons.end(CARRIER.name)
