"""A node's namespace in which the making of tunl0 is noticed, because BIRD must be told of it."""

from __future__ import annotations

from collections.abc import Callable
from socket import socket as AnySocket

from calico.encapsulation import TUNL0
from fabric.netstate.objects import Ipip, NetState, Tun
from fabric.netstate.plan import Plan
from fabric.netstate.port import Host, Notice, Owner


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
