"""The difference between what is and what shall be, as a plan that can be read before it is done.

Adds go in dependency order (a device before its address, a set before the chain that names it, a
chain before the jump to it), deletes in reverse, before the adds that may take their place.
A changed object with the same key is one replace, so that traffic never stops in between.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IpSet,
    Jump,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Veth,
    Vxlan,
)

_ORDER: dict[type, int] = {
    kind: rank
    for rank, kinds in enumerate(
        (
            (Bridge,),
            (Veth,),
            (Vxlan,),
            (Sysctl,),
            (Address,),
            (LinkUp,),
            (Neighbor,),
            (FdbEntry,),
            (Route,),
            (IpSet,),
            (Chain,),
            (Jump,),
        )
    )
    for kind in kinds
}

Verb = Literal["add", "replace", "delete"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to Linux."""

    verb: Verb
    obj: NetObject
    old: NetObject | None = None
    """With `replace`: what stands there now."""

    def __str__(self) -> str:
        return f"{self.verb} {self.obj}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which Linux takes them; empty (and false) when all is as it should be."""

    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return "".join(f"{step}\n" for step in self.steps)


def diff(desired: NetState, actual: NetState) -> Plan:
    """Return the plan that turns `actual` into `desired`."""
    have = _by_key(actual)
    want = _by_key(desired)
    deletes = [Step("delete", obj) for key, obj in have.items() if key not in want]
    adds = [
        Step("replace", obj, have[key]) if key in have else Step("add", obj)
        for key, obj in want.items()
        if key not in have or not matches(obj, have[key])
    ]
    deletes.sort(key=_rank, reverse=True)
    adds.sort(key=_rank)
    return Plan((*deletes, *adds))


def matches(desired: NetObject, actual: NetObject) -> bool:
    """True when `actual` is all that `desired` asks for; a MAC left open matches any."""
    if desired == actual:
        return True
    if type(desired) is not type(actual):
        return False
    if isinstance(desired, Bridge | Veth | Vxlan):
        return _fill_open(desired, actual) == actual
    return False


def _fill_open(desired: NetObject, actual: NetObject) -> NetObject:
    open_fields = [f for f in ("mac", "peer_mac") if hasattr(desired, f) and getattr(desired, f) is None]
    return replace(desired, **{f: getattr(actual, f) for f in open_fields})


def _by_key(state: Iterable[NetObject]) -> dict[Hashable, NetObject]:
    return {obj.key: obj for obj in state}


def _rank(step: Step) -> tuple[int, str]:
    return _ORDER[type(step.obj)], str(step.obj)
