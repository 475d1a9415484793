"""The difference between what is and what shall be, as a plan that can be read before it is done.

Order: first devices, addresses and routes that go, then those that come, each in dependency order
(a device before its address, an address before the route that needs it); then sets; then all rules in one
run of steps, which Linux takes as one transaction; last the sets that no rule names any more.
A changed object with the same key is one replace, so that traffic never stops in between. What a step takes
with it (routes and entries of a device that is made anew) is put again in the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fabric.netstate.flows import Flow, outdated
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IPAddress,
    Ipip,
    IpSet,
    Jump,
    Link,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Qdisc,
    Route,
    Setting,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
    device_names,
)

_ADD_ORDER: dict[type, int] = {
    kind: rank
    for rank, kind in enumerate(
        (
            *(Bridge, Veth, Vxlan, Ipip, Tun),
            *(LinkMtu, LinkMac, Sysctl, Qdisc, Address, LinkUp, Neighbor, FdbEntry, Route),
            *(IpSet, Chain, Jump),
        )
    )
}
_DELETE_RULES, _ADD_JUMPS, _DELETE_CHAINS, _DELETE_SETS = 20, 21, 22, 23
_LATE: dict[tuple[str, type], int] = {
    ("delete", Jump): _DELETE_RULES,
    ("add", Jump): _ADD_JUMPS,
    ("replace", Jump): _ADD_JUMPS,
    ("delete", Chain): _DELETE_CHAINS,
    ("delete", IpSet): _DELETE_SETS,
}

Verb = Literal["add", "replace", "delete"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step is one change to Linux."""

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
    flows: tuple[Flow, ...] = ()
    """Conntrack entries to remove after the steps."""

    def __bool__(self) -> bool:
        return bool(self.steps or self.flows)

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (*self.steps, *(f"delete {flow}" for flow in self.flows)))


def diff(desired: NetState, actual: NetState) -> Plan:
    """Return the plan that turns `actual` into `desired`.

    A setting that is no longer desired keeps its value: Linux has no way to unset one. Of two desired objects
    with one key, the one whose text comes first is planned, always the same.
    """
    have = _by_key(actual)
    want = _by_key(desired)
    have, want = (
        {key: obj for key, obj in have.items() if want.get(key) != obj},
        {key: obj for key, obj in want.items() if have.get(key) != obj},
    )
    return between(want, have, lambda: desired & actual)


def additions(desired: NetState) -> Plan:
    """Return the plan that puts `desired` where nothing is, as in a new pod: `diff` from an empty state."""
    want = _by_key(desired).values()
    return Plan(tuple(sorted((Step("add", obj) for obj in want), key=_rank)), outdated(want, ()))


def between(
    want: Mapping[Hashable, NetObject],
    have: Mapping[Hashable, NetObject],
    kept: Callable[[], Iterable[NetObject]],
) -> Plan:
    """Return the plan that leads from what is there of some keys to what is wanted of them.

    `kept` gives the objects of all other keys, wanted and there; it is asked only where a step takes some.
    """
    steps: list[Step] = []
    for key, obj in want.items():
        steps += _steps_towards(obj, have.get(key))
    steps += [
        Step("delete", obj) for key, obj in have.items() if key not in want and not isinstance(obj, Setting)
    ]
    if any(isinstance(step.obj, Link | Address | LinkUp | LinkMac) and step.verb != "add" for step in steps):
        matching = (obj for key, obj in want.items() if key in have and matches(obj, have[key]))
        steps += _Losses.of(steps, frozenset((*kept(), *matching))).put_again()
    flows = outdated(want.values(), have.values()) if steps else ()
    return Plan(tuple(sorted(steps, key=_rank)), flows)


def matches(desired: NetObject, actual: NetObject) -> bool:
    """True when `actual` is all that `desired` asks for.

    A MAC left open matches any, a route's device left open any, a jump one that stands in its place.
    """
    if desired == actual:
        return True
    if type(desired) is not type(actual):
        return False
    return _fill_open(desired, actual) == actual


def needs_recreation(desired: NetObject, actual: NetObject) -> bool:
    """True when Linux cannot change a device, or its queue, from one into the other in place."""
    same: tuple[str, ...]
    match desired, actual:
        case Veth(), Veth():
            same = ("peer", "peer_ns")
        case Vxlan(), Vxlan():
            same = ("vni", "parent", "local", "port", "learning", "gbp")
        case Ipip(), Ipip():
            same = ("local", "remote")
        case (Bridge(), Bridge()) | (Tun(), Tun()):
            same = ()
        case Qdisc(), Qdisc():
            same = ("kind",)
        case IpSet(), IpSet():
            return False
        case _:
            return type(desired) is not type(actual)
    return any(getattr(desired, name) != getattr(actual, name) for name in same)


def _steps_towards(obj: NetObject, old: NetObject | None) -> list[Step]:
    if old is None:
        return [Step("add", obj)]
    if matches(obj, old):
        return []
    if needs_recreation(obj, old):
        return [Step("delete", old), Step("add", obj)]
    return [Step("replace", obj, old)]


@dataclass(frozen=True, slots=True)
class _Losses:
    """Losses are the objects that a plan's steps take with them although they are desired.

    A device takes all that hangs on it. One that is lowered, or loses an address, may lose its other
    addresses, routes and neighbours; one with a new MAC its neighbours. Routes from an address go with it.
    """

    kept: NetState
    gone: frozenset[str] = frozenset()
    shaken: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    sources: frozenset[IPAddress] = frozenset()

    @classmethod
    def of(cls, steps: Iterable[Step], kept: NetState) -> _Losses:
        deleted = [step.obj for step in steps if step.verb == "delete"]
        gone = {obj.name for obj in deleted if isinstance(obj, Link)}
        gone |= {obj.name for obj in kept if isinstance(obj, Vxlan) and obj.parent in gone}
        addresses = [obj for obj in deleted if isinstance(obj, Address)]
        shaken = {obj.dev for obj in addresses} | {obj.dev for obj in deleted if isinstance(obj, LinkUp)}
        renamed: set[str] = set()
        for step in steps:
            if isinstance(step.obj, LinkMac):
                renamed.add(step.obj.dev)
            elif isinstance(step.obj, Link) and isinstance(step.old, Link):
                shaken |= {step.obj.name} if step.old.up and not step.obj.up else set()
                renamed |= {step.obj.name} if _has_new_mac(step.obj, step.old) else set()
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


def _has_new_mac(new: Link, old: Link) -> bool:
    mac = getattr(new, "mac", None)
    return mac is not None and mac != getattr(old, "mac", None)


def _fill_open(desired: NetObject, actual: NetObject) -> NetObject:
    match desired, actual:
        case Bridge() | Veth() | Vxlan(), Bridge() | Veth() | Vxlan():
            return replace(desired, mac=desired.mac or actual.mac)
        case Route(), Route() if desired.via and not desired.dev:
            return replace(desired, dev=actual.dev)
        case Jump(), Jump() if desired.stands_at(actual.position):
            return replace(desired, position=actual.position, order=actual.order)
    return desired


def _by_key(state: Iterable[NetObject]) -> dict[Hashable, NetObject]:
    """The objects by key; of several with one key, which cannot be together, the first by its text."""
    found: dict[Hashable, NetObject] = {}
    for obj in state:
        other = found.setdefault(obj.key, obj)
        if other is not obj and str(obj) < str(other):
            found[obj.key] = obj
    return found


def _rank(step: Step) -> tuple[int, int, str]:
    late = _LATE.get((step.verb, type(step.obj)))
    delete = step.verb == "delete"
    rank = _ADD_ORDER[type(step.obj)] if late is None else late
    backwards = delete and late is None
    second = _names_another_of_its_kind(step.obj) != delete
    return (-rank if backwards else rank), int(second), _sort_text(step.obj)


def _sort_text(obj: NetObject) -> str:
    """Return the text by which steps of one rank are sorted; large sets and chains are not written out."""
    return str(obj.key) if isinstance(obj, IpSet | Chain) else str(obj)


def _names_another_of_its_kind(obj: NetObject) -> bool:
    """True for a route that finds its gateway by another route, and for a set of sets."""
    match obj:
        case Route():
            return obj.via is not None or bool(obj.next_hops)
        case IpSet():
            return obj.type.startswith("list:")
    return False
