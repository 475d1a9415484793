"""A host that counts what its loop has it do: readings, and the processor time of writing."""

from __future__ import annotations

import time
from collections.abc import Callable
from socket import socket as AnySocket

from fabric.netstate.objects import NetState
from fabric.netstate.plan import Plan
from fabric.netstate.port import Host, Notice, Owner


class TimedHost(Host):
    """A host around another, which does the work."""

    def __init__(self, inner: Host) -> None:
        self._inner = inner
        self.reads = 0
        self.write_seconds = 0.0
        """Processor time of this process during `apply`, in all its threads."""

    @property
    def name(self) -> str:
        return self._inner.name

    async def read(self, owner: Owner) -> NetState:
        self.reads += 1
        return await self._inner.read(owner)

    async def apply(self, plan: Plan) -> None:
        began = time.process_time()
        try:
            await self._inner.apply(plan)
        finally:
            self.write_seconds += time.process_time() - began

    def watch(self, notice: Notice) -> Callable[[], None]:
        return self._inner.watch(notice)

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        return await self._inner.socket(family, kind, protocol)
