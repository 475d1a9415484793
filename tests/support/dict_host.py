"""A host whose kernel is a dict: it keeps what plans do, counts reads, and refuses what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from socket import socket as AnySocket

from fabric.errors import KernelRefused
from fabric.netstate.objects import NetObject, NetState
from fabric.netstate.plan import Plan, diff
from fabric.netstate.port import Host, Notice, Owner


class DictHost(Host):
    """Objects by key; `refused` objects cannot be made, `gone` refuses everything."""

    def __init__(self, *objects: NetObject) -> None:
        self.objects = {obj.key: obj for obj in objects}
        self.refused: set[NetObject] = set()
        self.gone = False
        self.reads = 0
        self.plans: list[str] = []

    @property
    def name(self) -> str:
        return "node-1"

    @property
    def state(self) -> NetState:
        return frozenset(self.objects.values())

    async def read(self, owner: Owner) -> NetState:
        self.reads += 1
        if self.gone:
            raise KernelRefused("node-1: no such namespace")
        return frozenset(obj for obj in self.objects.values() if owner.owns(obj))

    async def apply(self, plan: Plan) -> None:
        self.plans.append(str(plan))
        for step in plan.steps:
            if step.obj in self.refused and step.verb != "delete":
                raise KernelRefused(f"node-1: {step}: No such device")
            if step.verb == "delete":
                self.objects.pop(step.obj.key, None)
            else:
                self.objects[step.obj.key] = step.obj

    def watch(self, notice: Notice) -> Callable[[], None]:
        """Nobody is told anything: what a stranger does is seen when it is read."""
        return lambda: None

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        raise KernelRefused("node-1: this host has no sockets")

    def stranger_sets(self, *objects: NetObject) -> None:
        """Somebody else makes the namespace hold exactly these."""
        for step in diff(frozenset(objects), self.state).steps:
            self.objects.pop(step.obj.key, None)
            if step.verb != "delete":
                self.objects[step.obj.key] = step.obj
