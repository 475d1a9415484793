"""The fake side of the kernel port: namespaces as sets of objects, strict as Linux.

What Linux would refuse is refused with KernelRefused and its errno; what Linux takes along (the routes of a
device that goes, the far end of a veth) goes along. A test can play the stranger who changes things, and can
make the next step of its choice fail.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from socket import socket as AnySocket

from fabric.errors import KernelRefused
from fabric.kernel import strictness
from fabric.kernel.fake_namespace import FakeNamespace
from fabric.kernel.fake_netfilter.chains import Policies
from fabric.kernel.fake_netfilter.netfilter import FakeNetfilter
from fabric.kernel.fake_rules import BuiltInChains
from fabric.netstate.objects import (
    Bridge,
    Ipip,
    Link,
    LinkUp,
    NetObject,
    NetState,
    Qdisc,
    Route,
    Setting,
    Sysctl,
    Veth,
)
from fabric.netstate.plan import Plan, Step, matches
from fabric.netstate.port import TOLD_SYSCTLS, Host, Kernel, Medium, Notice, Owner, medium_of
from fabric.netstate.rules import Chain, Family, Jump, Table


class FakeKernel(Kernel):
    """Namespaces by name; there are none but those that were added."""

    def __init__(self, *names: str) -> None:
        self._hosts: dict[str, FakeHost] = {}
        self._spaces: dict[str, FakeNamespace] = {}
        for name in names:
            self.add_namespace(name)

    def add_namespace(self, name: str) -> FakeHost:
        """Make an empty namespace (with a lowered `lo`), as a new process in it would."""
        self.remove_namespace(name)
        self._spaces[name] = FakeNamespace(name, self._spaces)
        return self.host(name)

    def remove_namespace(self, name: str) -> None:
        """End it: its veths go, and so do their far ends elsewhere."""
        space = self._spaces.pop(name, None)
        for obj in space.objects.of_kind(Veth) if space else ():
            if obj.peer_ns in self._spaces:
                self._spaces[obj.peer_ns].drop_device(obj.peer)
        if space is not None:
            self._hosts[name].tell("netlink", None, False)

    def host(self, name: str) -> FakeHost:
        """The namespace of that name, now and after it was made anew; without one it refuses everything."""
        if name not in self._hosts:
            self._hosts[name] = FakeHost(name, self._spaces)
        return self._hosts[name]

    def follow(self, pod: str, state: NetState, changed: Callable[[], None]) -> Callable[[], None]:
        return self.host(pod).watch(lambda medium, obj, gone: changed())


class FakeHost(Host):
    """A namespace of the fake kernel."""

    def __init__(self, name: str, spaces: Mapping[str, FakeNamespace]) -> None:
        self._name = name
        self._spaces = spaces
        self._faults: list[Callable[[Step], bool]] = []
        self.plans: list[Plan] = []
        """Every plan that was applied, refused ones too, empty ones not."""
        self.reads = 0
        self._notices: list[Notice] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> NetState:
        """All that is in the namespace, whoever made it; nothing when there is no such namespace."""
        return self._spaces[self._name].visible if self._name in self._spaces else frozenset()

    @property
    def settings(self) -> frozenset[Setting]:
        """The MTU and the MAC of every device, which are no part of `state`: its devices tell them."""
        return self._spaces[self._name].settings if self._name in self._spaces else frozenset()

    async def read(self, owner: Owner) -> NetState:
        space = self._space("read")
        self.reads += 1
        return frozenset(
            obj
            for obj in space.read(owner.kinds)
            if type(obj) in owner.kinds
            and (not isinstance(obj, Sysctl) or obj.path in owner.sysctls)
            and owner.owns(obj)
        )

    async def apply(self, plan: Plan) -> None:
        if not plan:
            return
        space = self._space("apply")
        self.plans.append(plan)
        for is_rules, steps in groupby(plan.steps, lambda step: isinstance(step.obj, Chain | Jump)):
            if is_rules:
                self._transact(space, list(steps))
                continue
            for step in steps:
                self._carry_out(space, step)

    def watch(self, notice: Notice) -> Callable[[], None]:
        self._notices.append(notice)
        return lambda: self._notices.remove(notice)

    def tell(self, medium: Medium, obj: NetObject | None, gone: bool) -> None:
        """Tell whoever watches, once the event loop runs, as Linux would; nobody where no loop runs."""
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            for notice in self._notices:
                loop.call_soon(notice, medium, obj, gone)

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        """A socket of the test's own namespace: the fake carries no packets."""
        self._space("socket")
        opened = AnySocket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    def built_in(self, table: Table, chain: str, family: Family = 4) -> tuple[str, ...]:
        """Return the rules of a built-in chain in their order, as `iptables-save` prints them."""
        return self._space("look").hooks.rules_of(table, chain, family)

    def netfilter(self, policies: Policies | None = None) -> FakeNetfilter:
        """Return the namespace's netfilter as it is now, through which packets can be sent."""
        space = self._space("look")
        return FakeNetfilter(space.objects, space.hooks, policies)

    def refuse_next(self, which: Callable[[Step], bool]) -> None:
        """Refuse the next step that `which` picks, once, with EBUSY."""
        self._faults.append(which)

    def tamper_add(self, obj: NetObject) -> None:
        """Put an object there as a stranger would; Linux's rules hold for strangers too."""
        self._tamper(Step("replace" if obj.key in {o.key for o in self.state} else "add", obj))

    def tamper_delete(self, obj: NetObject) -> None:
        """Take an object away as a stranger would, with all that hangs on it."""
        self._tamper(Step("delete", obj))

    def _tamper(self, step: Step) -> None:
        faults, self._faults = self._faults, []
        before = self.state
        try:
            space = self._space("tamper")
            if isinstance(step.obj, Chain | Jump):
                self._transact(space, [step], is_ours=False)
            else:
                self._carry_out(space, step)
        finally:
            self._faults = faults
            self._tell_of(step, before)

    def _tell_of(self, step: Step, before: NetState) -> None:
        """Tell of what a stranger changed by netlink, but not of the routes that went with a device."""
        now = self.state
        keys = {obj.key for obj in now}
        for obj in before - now:
            if obj.key not in keys and (obj.key == step.obj.key or not isinstance(obj, Route)):
                self._tell_netlink(obj, gone=True)
        for obj in now - before:
            self._tell_netlink(obj, gone=False)

    def _tell_netlink(self, obj: NetObject, *, gone: bool) -> None:
        medium = medium_of(obj)
        is_told = isinstance(obj, Sysctl) and obj.path.endswith(TOLD_SYSCTLS)
        if is_told or (medium == "netlink" and not isinstance(obj, LinkUp | Qdisc)):
            self.tell(medium, obj, gone)

    def _space(self, verb: str) -> FakeNamespace:
        if self._name not in self._spaces:
            raise KernelRefused(f"{self._name}: {verb}: there is no such namespace (ESRCH)")
        return self._spaces[self._name]

    def _transact(self, space: FakeNamespace, steps: list[Step], *, is_ours: bool = True) -> None:
        before = {step.obj.key: space.objects.get(step.obj.key) for step in steps}, space.hooks.copy()
        try:
            for step in steps:
                self._check(space, step)
                if step.verb == "delete":
                    space.objects.drop(step.obj.key)
                else:
                    space.objects.put(step.obj)
                if isinstance(step.obj, Jump) and step.verb == "delete":
                    space.hooks.drop(step.obj, is_ours=is_ours)
                elif isinstance(step.obj, Jump):
                    space.hooks.put(step.obj, is_ours=is_ours)
            strictness.check_rules([step.obj for step in steps], space.objects)
        except OSError as error:
            self._take_back(space, *before)
            raise self._refusal(steps[0], error) from error

    def _take_back(
        self, space: FakeNamespace, objects: Mapping[Hashable, NetObject | None], hooks: BuiltInChains
    ) -> None:
        space.hooks = hooks
        for key, obj in objects.items():
            space.objects.drop(key)
            if obj is not None:
                space.objects.put(obj)

    def _carry_out(self, space: FakeNamespace, step: Step) -> None:
        try:
            self._check(space, step)
            if step.verb == "delete":
                space.delete(step.obj)
            elif not self._is_there(space, step):
                space.put(_as_sent(step))
        except OSError as error:
            raise self._refusal(step, error) from error

    def _check(self, space: FakeNamespace, step: Step) -> None:
        for fault in self._faults:
            if fault(step):
                self._faults.remove(fault)
                strictness.refuse(errno.EBUSY)
        found = space.objects.get(step.obj.key)
        if step.verb != "add" or found is None or isinstance(step.obj, Jump) or _is_adopted(step.obj, found):
            return
        if not matches(step.obj, found):
            strictness.refuse(errno.EEXIST)

    def _is_there(self, space: FakeNamespace, step: Step) -> bool:
        """True for a device that is to be made and is there: Linux leaves it as it is."""
        found = space.objects.get(step.obj.key)
        is_made = step.verb == "add" and isinstance(step.obj, Link) and found is not None
        return is_made and not _is_adopted(step.obj, found)

    def _refusal(self, step: Step, error: OSError) -> KernelRefused:
        what = str(step).split("\n", 1)[0]
        name = errno.errorcode.get(error.errno or 0, "?")
        return KernelRefused(f"{self._name}: {what}: {error.strerror} ({name})")


def _is_adopted(obj: NetObject, found: NetObject | None) -> bool:
    """True for the driver's own tunnel, which is taken over when another like it is made."""
    return isinstance(obj, Ipip) and obj.is_open and isinstance(found, Ipip) and found.is_open


def _as_sent(step: Step) -> NetObject:
    """Return what Linux is told: of a bridge's MAC only when it is another than before."""
    match step.obj, step.old:
        case Bridge(mac=mac) as bridge, Bridge(mac=old) if mac == old:
            return replace(bridge, mac=None)
    return step.obj
