"""The carrier of tunl0 is kept running on a node whose kernel has no ipip, and on no other.

Nothing is begun or ended before the agent said which: a carrier that an earlier agent left carries packets
until then. `TunnelWatch` notices that tunl0 was made, because BIRD must be told of it.
"""

from __future__ import annotations

from collections.abc import Callable
from socket import socket as AnySocket

from calico.encapsulation import TUNL0
from fabric.control.loop import Loop
from fabric.netstate.objects import Ipip, NetState, Tun
from fabric.netstate.plan import Plan
from fabric.netstate.port import Host, Notice, Owner
from fabric.plugin.contract import Daemons, Program

CARRIER = Program(TUNL0, ("ipip-carrier", TUNL0))
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
            self._loop.trigger()

    def trigger(self) -> None:
        """Look again now: the node was off, and its programs are gone."""
        self._loop.trigger()

    @property
    def is_converged(self) -> bool:
        """It is as was wanted last."""
        return self._wanted is not None and self._loop.is_converged

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


class TunnelWatch:
    """The `Host` that it is given, which calls `on_tunnel` after tunl0 was made or changed."""

    def __init__(self, host: Host, on_tunnel: Callable[[], None]) -> None:
        self._host = host
        self._on_tunnel = on_tunnel

    @property
    def name(self) -> str:
        return self._host.name

    async def read(self, owner: Owner) -> NetState:
        return await self._host.read(owner)

    async def apply(self, plan: Plan) -> None:
        await self._host.apply(plan)
        made = (step.obj for step in plan.steps if step.verb != "delete" and isinstance(step.obj, Ipip | Tun))
        if any(obj.name == TUNL0 for obj in made):
            self._on_tunnel()

    def watch(self, notice: Notice) -> Callable[[], None]:
        return self._host.watch(notice)

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        return await self._host.socket(family, kind, protocol)
