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

from fabric.netstate.flows import Flow, outdated
from fabric.netstate.losses import Losses, bridges_of_other_ports, has_new_mac, with_macs_kept
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
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
)
from fabric.netstate.step import Step as Step
from fabric.netstate.step import Verb as Verb

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
_FIRST = -len(_ADD_ORDER)
"""A bridge's MAC is set before a port goes that it may have it from."""
_DELETE_RULES, _ADD_JUMPS, _DELETE_CHAINS, _DELETE_SETS = 20, 21, 22, 23
_TAKES_ALONG = Link | Address | LinkUp | LinkMac
"""What may take along what hangs on it when it goes or changes."""
_LATE: dict[tuple[str, type], int] = {
    ("delete", Jump): _DELETE_RULES,
    ("add", Jump): _ADD_JUMPS,
    ("replace", Jump): _ADD_JUMPS,
    ("delete", Chain): _DELETE_CHAINS,
    ("delete", IpSet): _DELETE_SETS,
}


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
    bridges = bridges_of_other_ports(steps)
    if bridges or any(isinstance(it.obj, _TAKES_ALONG) and it.verb != "add" for it in steps):
        matching = (obj for key, obj in want.items() if key in have and matches(obj, have[key]))
        stays = frozenset((*kept(), *matching))
        steps = with_macs_kept(steps, bridges, stays, have.values())
        steps += Losses.of(steps, bridges, stays).put_again()
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


def needed_first(plan: Plan) -> Plan:
    """Return the plan with each chain behind those that its rules lead to; deleted ones the other way round.

    Rules that are written in one transaction need no such order. It is for a plan that is written in parts:
    none is refused for what only a later part brings.
    """
    chains = {step.obj.key: step.obj for step in plan.steps if isinstance(step.obj, Chain)}
    heights: dict[Hashable, int] = {}

    def height(chain: Chain) -> int:
        if chain.key not in heights:
            heights[chain.key] = 0  # Of chains in a circle, which Linux refuses, any is the lowest.
            targets = (
                chains.get(replace(chain, name=rule.target).key) for rule in chain.rules if rule.target
            )
            heights[chain.key] = 1 + max((height(it) for it in targets if it), default=0)
        return heights[chain.key]

    def place(step: Step) -> tuple[int, int]:
        if not isinstance(step.obj, Chain):
            return _rank(step)[0], 0
        return _rank(step)[0], -height(step.obj) if step.verb == "delete" else height(step.obj)

    return replace(plan, steps=tuple(sorted(plan.steps, key=place)))


def _steps_towards(obj: NetObject, old: NetObject | None) -> list[Step]:
    if old is None:
        return [Step("add", obj)]
    if matches(obj, old):
        return []
    if needs_recreation(obj, old):
        return [Step("delete", old), Step("add", obj)]
    return [Step("replace", obj, old)]


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
    if isinstance(step.obj, Bridge) and isinstance(step.old, Bridge) and has_new_mac(step.obj, step.old):
        return _FIRST, 0, _sort_text(step.obj)
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
