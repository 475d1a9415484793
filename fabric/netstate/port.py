"""The one door to Linux: a `Host` is one network namespace that can be read and changed.

State is owned. An `Owner` says which objects it may delete; `read` returns those and nothing
else, so that a plan made from them can never harm what somebody else made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from socket import socket as AnySocket
from typing import Literal, Protocol

from fabric.netstate.objects import Chain, Family, IpSet, Jump, NetObject, NetState, Sysctl
from fabric.netstate.plan import Plan

POD_PREFIX = "pod:"
"""The names of pods' namespaces begin with it."""


def pod_namespace(uid: str) -> str:
    """Return the name of a pod's namespace; a node's is the node's name."""
    return POD_PREFIX + uid


Medium = Literal["netlink", "sysctl", "sets", "rules"]
MEDIA: tuple[Medium, ...] = ("netlink", "sysctl", "sets", "rules")
"""The ways in which Linux is read and written, each with its own cost."""

TOLD_SYSCTLS = ("/ip_forward", "/forwarding", "/rp_filter", "/proxy_arp", "/proxy_ndp")
"""The ends of the paths of those sysctls of whose changes Linux tells."""

Notice = Callable[[Medium, NetObject | None, bool], None]
"""Told of a change: what is there now, or what is gone (True). No object: anything may have changed."""


def medium_of(obj: NetObject) -> Medium:
    """Return the medium by which an object is read and written."""
    return medium_of_kind(type(obj))


def medium_of_kind(kind: type) -> Medium:
    return _MEDIA.get(kind, "netlink")


_MEDIA: Mapping[type, Medium] = {Sysctl: "sysctl", IpSet: "sets", Chain: "rules", Jump: "rules"}


@dataclass(frozen=True)
class Owner:
    """An owner says which objects of a namespace may be deleted, and by whom."""

    name: str
    kinds: frozenset[type]
    """The classes of netstate.objects that must be read at all; others are not asked of the kernel."""
    owns: Callable[[NetObject], bool]
    """True for an object that this owner made, or may replace and delete."""
    sysctls: frozenset[str] = frozenset()
    """Paths of the sysctls to read (Linux has too many to read all)."""
    families: frozenset[Family] = frozenset((4, 6))
    """Of routes and rules, those that must be read."""
    stand_in: Callable[[Chain], Chain | None] = lambda chain: None
    """The chain that is put in the place of a new one that Linux refuses; None where there is none."""


class Host(Protocol):
    """A host is one network namespace, which can be read and changed."""

    @property
    def name(self) -> str:
        """`node-1`, `switch`, or `pod:<uid>`."""
        ...

    async def read(self, owner: Owner) -> NetState:
        """Return every object of the owner's that is in this namespace now.

        Routes of `proto kernel`, addresses of link scope in IPv6 and dynamic neighbours are never
        returned. Nor is a device of a type that netstate does not know, a TUN device that ends with its
        program, or an `Ipip` that is absent. A `LinkUp` is returned for every raised device but bridges,
        tunnels and TUN devices, also where a `Veth` says `up`; a `LinkMtu` for every device, a `LinkMac` for
        every one that has a MAC. A veth whose far end is in no namespace of the cluster has an empty
        `peer_ns`.
        """
        ...

    async def apply(self, plan: Plan) -> None:
        """Carry out the plan in its order; KernelRefused names the first step that Linux refused.

        Steps already done stay done: the caller reads again and computes the rest. Deleting what is
        already gone, and adding what is already there to the letter, are not errors; adding an `Ipip` without
        ends takes over the one that is there. The plan's flows go last.
        """
        ...

    def watch(self, notice: Notice) -> Callable[[], None]:
        """Tell `notice`, in the event loop, of what changes from the next `read` on; return how to end it.

        Told are addresses, routes, permanent neighbours, FDB entries, devices (a `Veth` without its far
        end) and the sysctls of `TOLD_SYSCTLS`, whoever changed them, our own plans too; and, where the kernel
        tells of them, rules. Not told is what goes along with a device that goes or is lowered.
        """
        ...

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        """Open a socket in this namespace, for whatever must leave from here: a probe, a query, a capture.

        `family` and `kind` are the socket module's. KernelRefused when Linux does not give one. The caller
        closes it; it keeps its namespace alive.
        """
        ...


class Kernel(Protocol):
    """The namespaces of one cluster."""

    def host(self, name: str) -> Host:
        """The namespace of that name; using one that does not exist raises KernelRefused."""
        ...

    def follow(self, pod: str, state: NetState, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed`, in the event loop, when a pod's namespace may lack some of `state`.

        Told of from now on, whoever changed them, are devices that go or get another MTU, MAC or flag,
        addresses that go, and routes; not sysctls, nor the namespace's end. Where Linux tells nothing, nobody
        is called. Returned is how to end it.
        """
        ...

    async def apply(self, plans: Mapping[str, Plan]) -> None:
        """Carry out each namespace's plan, one after the other, as `Host.apply` does each.

        A refusal ends it: of the namespaces behind it nothing is done.
        """
        for name, plan in plans.items():
            await self.host(name).apply(plan)
