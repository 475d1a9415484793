"""The fake side of the kernel port: namespaces as sets of objects, strict as Linux.

What Linux would refuse is refused with KernelRefused and its errno; what Linux takes along (the routes of a
device that goes, the far end of a veth) goes along. A test can play the stranger who changes things, and can
make the next step of its choice fail.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Hashable
from dataclasses import replace
from itertools import groupby

from fabric.errors import KernelRefused
from fabric.kernel import strictness
from fabric.netstate.objects import (
    Address,
    Bridge,
    IpSet,
    LinkUp,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Veth,
    Vxlan,
    device_names,
)
from fabric.netstate.plan import Plan, Step, matches
from fabric.netstate.port import Host, Kernel, Owner
from fabric.netstate.rules import Chain, Jump


class FakeKernel(Kernel):
    """Namespaces by name; there are none but those that were added."""

    def __init__(self, *names: str) -> None:
        self._hosts: dict[str, FakeHost] = {}
        for name in names:
            self.add_namespace(name)

    def add_namespace(self, name: str) -> FakeHost:
        """Make an empty namespace (with a lowered `lo`), as a new process in it would."""
        host = FakeHost(self, name)
        self._hosts[name] = host
        return host

    def remove_namespace(self, name: str) -> None:
        """End it: its veths go, and so do their far ends elsewhere."""
        host = self._hosts.pop(name, None)
        for obj in host.state if host else ():
            if isinstance(obj, Veth) and obj.peer_ns in self._hosts:
                self._hosts[obj.peer_ns].drop_device(obj.peer)

    def host(self, name: str) -> FakeHost:
        """The namespace of that name; a name without one gives a host that refuses everything."""
        return self._hosts.get(name) or FakeHost(self, name)

    def holds(self, name: str) -> bool:
        return name in self._hosts


class FakeHost(Host):
    """One namespace of the fake."""

    def __init__(self, kernel: FakeKernel, name: str) -> None:
        self._kernel = kernel
        self._name = name
        self._objects: dict[Hashable, NetObject] = {}
        self._faults: list[Callable[[Step], bool]] = []
        self.plans: list[Plan] = []
        """Every plan that was applied, refused ones too, empty ones not."""
        self.reads = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> NetState:
        """All that is in the namespace, whoever made it."""
        return frozenset(self._objects.values())

    async def read(self, owner: Owner) -> NetState:
        self._check_namespace("read")
        self.reads += 1
        return frozenset(
            obj
            for obj in self.state
            if type(obj) in owner.kinds
            and (not isinstance(obj, Sysctl) or obj.path in owner.sysctls)
            and owner.owns(obj)
        )

    async def apply(self, plan: Plan) -> None:
        if not plan:
            return
        self._check_namespace("apply")
        self.plans.append(plan)
        for is_rules, steps in groupby(plan.steps, lambda step: isinstance(step.obj, Chain | Jump)):
            if is_rules:
                self._transact(list(steps))
                continue
            for step in steps:
                self._carry_out(step)

    def refuse_next(self, which: Callable[[Step], bool]) -> None:
        """Refuse the next step that `which` picks, once, with EBUSY."""
        self._faults.append(which)

    def tamper_add(self, obj: NetObject) -> None:
        """Put an object there as a stranger would; Linux's rules hold for strangers too."""
        self._carry_out(Step("replace" if obj.key in self._objects else "add", obj))

    def tamper_delete(self, obj: NetObject) -> None:
        """Take an object away as a stranger would, with all that hangs on it."""
        if isinstance(obj, Chain | Jump):
            self._objects.pop(obj.key, None)
        else:
            self._carry_out(Step("delete", obj))

    def drop_device(self, name: str) -> None:
        """Remove a device and all that hangs on it; both ends of a veth."""
        link = self._objects.pop(("link", name), None)
        for obj in list(self._objects.values()):
            if isinstance(obj, Vxlan) and obj.parent == name:
                self.drop_device(obj.name)
            elif name in device_names(obj):
                self._objects.pop(obj.key, None)
            elif isinstance(obj, Veth) and obj.master == name:
                self._objects[obj.key] = replace(obj, master=None, hairpin=False)
        if isinstance(link, Veth) and self._kernel.holds(link.peer_ns):
            peer_host = self._kernel.host(link.peer_ns)
            if ("link", link.peer) in peer_host._objects:
                peer_host.drop_device(link.peer)

    def _check_namespace(self, verb: str) -> None:
        if self._kernel.host(self._name) is not self:
            raise KernelRefused(f"{self._name}: {verb}: there is no such namespace (ESRCH)")

    def _transact(self, steps: list[Step]) -> None:
        before = dict(self._objects)
        try:
            for step in steps:
                self._inject(step)
                self._refuse_other(step)
                if step.verb == "delete":
                    self._objects.pop(step.obj.key, None)
                else:
                    self._objects[step.obj.key] = step.obj
            strictness.check_rules(self.state)
        except OSError as error:
            self._objects = before
            raise self._refusal(steps[0], error) from error
        except KernelRefused:
            self._objects = before
            raise

    def _carry_out(self, step: Step) -> None:
        try:
            self._inject(step)
            self._refuse_other(step)
            if step.verb == "delete":
                self._delete(step.obj)
            else:
                self._put(step.obj)
        except OSError as error:
            raise self._refusal(step, error) from error

    def _inject(self, step: Step) -> None:
        for fault in self._faults:
            if fault(step):
                self._faults.remove(fault)
                strictness.refuse(errno.EBUSY)

    def _refuse_other(self, step: Step) -> None:
        found = self._objects.get(step.obj.key)
        if step.verb == "add" and found is not None and not matches(step.obj, found):
            strictness.refuse(errno.EEXIST)

    def _put(self, obj: NetObject) -> None:
        if isinstance(obj, Chain | Jump):
            self._transact([Step("replace", obj)])
            return
        strictness.check(obj, self.state)
        if isinstance(obj, Bridge | Veth | Vxlan):
            self._put_link(obj)
            return
        if isinstance(obj, Route) and obj.via and not obj.dev:
            obj = replace(obj, dev=strictness.device_towards(obj.via, None, list(self.state)))
        if isinstance(obj, IpSet):
            self._check_set_change(obj)
        self._objects[obj.key] = obj
        if isinstance(obj, LinkUp):
            self._set_up(obj.dev, True)

    def _check_set_change(self, obj: IpSet) -> None:
        old = self._objects.get(obj.key)
        other = isinstance(old, IpSet) and (old.type, old.family) != (obj.type, obj.family)
        if other and strictness.is_named(obj.name, self.state):
            strictness.refuse(errno.EBUSY)

    def _put_link(self, link: Bridge | Veth | Vxlan) -> None:
        old = self._objects.get(link.key)
        if isinstance(link, Veth):
            if old is None:
                self._put_peer(link)
            link = replace(link, peer_mac=link.peer_mac or _mac(link.peer_ns, link.peer))
        if isinstance(link, Vxlan):
            link = self._fit_tunnel(link, old)
        old_mac = getattr(old, "mac", None)
        link = replace(link, mac=link.mac or old_mac or _mac(self._name, link.name))
        self._objects[link.key] = link
        self._set_up(link.name, link.up)

    def _fit_tunnel(self, link: Vxlan, old: NetObject | None) -> Vxlan:
        """A tunnel is no larger than its parent allows: made too large it shrinks, changed it is refused."""
        parent = self._objects.get(("link", link.parent))
        overhead = 50 if link.local.version == 4 else 70
        largest = parent.mtu - overhead if isinstance(parent, Bridge | Veth | Vxlan) else link.mtu
        if link.mtu > largest and isinstance(old, Vxlan) and old.mtu != link.mtu:
            strictness.refuse(errno.EINVAL)
        return replace(link, mtu=min(link.mtu, largest))

    def _put_peer(self, link: Veth) -> None:
        if not self._kernel.holds(link.peer_ns):
            strictness.refuse(errno.ESRCH)
        there = self._kernel.host(link.peer_ns)
        if ("link", link.peer) in there._objects or link.peer == "lo":
            strictness.refuse(errno.EEXIST)
        end = Veth(
            name=link.peer,
            peer=link.name,
            peer_ns=self._name,
            mtu=link.mtu,
            mac=link.peer_mac or _mac(link.peer_ns, link.peer),
            peer_mac=link.mac or _mac(self._name, link.name),
            up=False,
        )
        there._objects[end.key] = end

    def _delete(self, obj: NetObject) -> None:
        match obj:
            case Bridge() | Veth() | Vxlan():
                if obj.key in self._objects:
                    self.drop_device(obj.name)
            case LinkUp(dev=dev):
                self._set_up(dev, False)
            case Sysctl():
                pass
            case IpSet(name=name):
                if strictness.is_named(name, self.state - {obj}):
                    strictness.refuse(errno.EBUSY)
                self._objects.pop(obj.key, None)
            case Address():
                self._objects.pop(obj.key, None)
                self._drop_routes_of(obj)
            case _:
                self._objects.pop(obj.key, None)

    def _drop_routes_of(self, gone: Address) -> None:
        version = gone.address.version
        last = not any(
            isinstance(o, Address) and o.dev == gone.dev and o.address.version == version for o in self.state
        )
        foreign = not any(isinstance(o, Address) and o.address.ip == gone.address.ip for o in self.state)
        for obj in self.state:
            if not isinstance(obj, Route) or obj.dst.version != version:
                continue
            flushed = last and version == 4 and gone.dev in device_names(obj)
            if flushed or (foreign and obj.src == gone.address.ip):
                self._objects.pop(obj.key, None)

    def _set_up(self, dev: str, up: bool) -> None:
        link = self._objects.get(("link", dev))
        if isinstance(link, Bridge | Veth | Vxlan):
            self._objects[link.key] = replace(link, up=up)
        if up and not isinstance(link, Bridge | Vxlan):
            self._objects["up", dev] = LinkUp(dev)
        if not up:
            self._objects.pop(("up", dev), None)
            for obj in self.state:
                if isinstance(obj, Route) and dev in device_names(obj):
                    self._objects.pop(obj.key, None)

    def _refusal(self, step: Step, error: OSError) -> KernelRefused:
        what = str(step).split("\n", 1)[0]
        name = errno.errorcode.get(error.errno or 0, "?")
        return KernelRefused(f"{self._name}: {what}: {error.strerror} ({name})")


def _mac(namespace: str, device: str) -> str:
    """Return a MAC as Linux would choose one: unicast, locally administered; the same each time here."""
    digest = hashlib.blake2b(f"{namespace}/{device}".encode(), digest_size=5).digest()
    return "02:" + digest.hex(":")
