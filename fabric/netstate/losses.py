"""Losses are what a plan's steps take with them although it is wanted, and what the plan does about it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from fabric.netstate.objects import (
    Address,
    Bridge,
    IPAddress,
    Link,
    LinkMac,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Route,
    Veth,
    Vxlan,
    device_names,
)
from fabric.netstate.step import Step


def bridges_of_other_ports(steps: Iterable[Step]) -> frozenset[str]:
    """Return the bridges to which a port comes, from which one goes, or of which one gets another MAC."""
    found: set[str | None] = set()
    for step in steps:
        if isinstance(step.obj, Veth):
            old = step.old if isinstance(step.old, Veth) else None
            if old is None or old.master != step.obj.master or has_new_mac(step.obj, old):
                found |= {step.obj.master, old.master if old else None}
    return frozenset(name for name in found if name)


def with_macs_kept(
    steps: Iterable[Step], bridges: Container[str], stays: Iterable[NetObject], have: Iterable[NetObject]
) -> list[Step]:
    """Return the steps, and with them those that set the MAC which a bridge may have from one of its ports.

    Linux shows such a MAC as it shows one that was set, and changes it with the ports.
    """
    stays = list(stays)
    ports = {(it.master, it.mac) for it in (*stays, *have) if isinstance(it, Veth) and it.master in bridges}

    def may_have_it_from_a_port(bridge: Bridge) -> bool:
        return bridge.mac is not None and not ports.isdisjoint(
            {(bridge.name, bridge.mac), (bridge.name, None)}
        )

    found: list[Step] = []
    for step in steps:
        match step.obj, step.old:
            case Bridge() as bridge, Bridge() as old if may_have_it_from_a_port(bridge):
                found.append(Step("replace", bridge, replace(old, mac=None)))
            case _:
                found.append(step)
    kept = [it for it in stays if isinstance(it, Bridge) and may_have_it_from_a_port(it)]
    return found + [Step("replace", it, replace(it, mac=None)) for it in kept]


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses are the objects that a plan's steps take with them although they are desired.

    A device takes all that hangs on it. One that is lowered, or loses an address, may lose its other
    addresses, routes and neighbours; one with a new MAC its neighbours, and a bridge without a MAC of
    its own may get another with its ports. Routes from an address go with it.
    """

    kept: NetState
    gone: frozenset[str] = frozenset()
    shaken: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    sources: frozenset[IPAddress] = frozenset()

    @classmethod
    def of(cls, steps: Iterable[Step], bridges: Iterable[str], kept: NetState) -> Losses:
        deleted = [step.obj for step in steps if step.verb == "delete"]
        gone = {obj.name for obj in deleted if isinstance(obj, Link)}
        gone |= {obj.name for obj in kept if isinstance(obj, Vxlan) and obj.parent in gone}
        addresses = [obj for obj in deleted if isinstance(obj, Address)]
        shaken = {obj.dev for obj in addresses} | {obj.dev for obj in deleted if isinstance(obj, LinkUp)}
        renamed = {*bridges} - {it.name for it in kept if isinstance(it, Bridge) and it.mac}
        for step in steps:
            if isinstance(step.obj, LinkMac):
                renamed.add(step.obj.dev)
            elif isinstance(step.obj, Link) and isinstance(step.old, Link):
                shaken |= {step.obj.name} if step.old.up and not step.obj.up else set()
                renamed |= {step.obj.name} if has_new_mac(step.obj, step.old) else set()
        sources = frozenset(obj.address.ip for obj in addresses)
        return cls(kept, frozenset(gone), frozenset(shaken), frozenset(renamed), sources)

    def put_again(self) -> list[Step]:
        if not (self.gone or self.shaken or self.renamed):
            return []
        return [Step("add", obj) for obj in self.kept if self._has(obj)]

    def _has(self, obj: NetObject) -> bool:
        devices = device_names(obj)
        if devices & self.gone:
            return True
        match obj:
            case Route(via=via, dev=None) if via is not None:
                return bool(self.shaken | self.gone) or obj.src in self.sources
            case Route():
                return bool(devices & self.shaken) or obj.src in self.sources
            case Address():
                return bool(devices & self.shaken)
            case Neighbor():
                return bool(devices & (self.shaken | self.renamed))
        return False


def has_new_mac(new: Link, old: Link) -> bool:
    mac = getattr(new, "mac", None)
    return mac is not None and mac != getattr(old, "mac", None)
