"""The action of a rule, read into the chain that it leads to, or a function that changes or ends a packet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

from fabric.kernel.fake_netfilter import words
from fabric.kernel.fake_netfilter.packets import Kind, UnknownRule
from fabric.kernel.fake_netfilter.skb import Skb
from fabric.kernel.fake_netfilter.translation import END_AT, Range, settle
from fabric.kernel.fake_netfilter.words import Clause
from fabric.kernel.strictness import TARGETS
from fabric.netstate.rules import Family, Table


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of a packet's way through a table; ACCEPT ends no more than that."""

    kind: Kind
    reject: str = ""


Do = Callable[[Skb], "Stop | None"]
ACCEPT, DROP = Stop("ACCEPT"), Stop("DROP")
_COMPILED_MAX = 1 << 16
_MARKS = ("--set-xmark", "--set-mark", "--or-mark", "--and-mark", "--xor-mark")
_RANDOM = {"--random": 0, "--random-fully": 0, "--persistent": 0}
_LOGGED = {"--log-prefix": 1, "--log-level": 1, "--log-tcp-options": 0, "--log-ip-options": 0, "--log-uid": 0}
_NFLOG = {
    "--nflog-group": 1,
    "--nflog-prefix": 1,
    "--nflog-size": 1,
    "--nflog-range": 1,
    "--nflog-threshold": 1,
}
_REJECTS: dict[Family, frozenset[str]] = {
    4: frozenset(
        f"icmp-{it}"
        for it in (
            *("net-unreachable", "host-unreachable", "port-unreachable", "proto-unreachable"),
            *("net-prohibited", "host-prohibited", "admin-prohibited"),
        )
    )
    | {"tcp-reset"},
    6: frozenset(
        {
            *("icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"),
            *("icmp6-policy-fail", "icmp6-reject-route", "tcp-reset"),
        }
    ),
}
_ARITIES: words.Arities = {
    **{name: {} for name in ("ACCEPT", "DROP", "RETURN", "NOTRACK")},
    "REJECT": {"--reject-with": 1},
    "LOG": _LOGGED,
    "NFLOG": _NFLOG,
    "MARK": dict.fromkeys(_MARKS, 1),
    "CONNMARK": {
        **dict.fromkeys(_MARKS, 1),
        "--save-mark": 0,
        "--restore-mark": 0,
        "--nfmask": 1,
        "--ctmask": 1,
    },
    "CT": {"--notrack": 0},
    "MASQUERADE": {**_RANDOM, "--to-ports": 1},
    "SNAT": {**_RANDOM, "--to-source": 1},
    "DNAT": {**_RANDOM, "--to-destination": 1},
}
_PLACES: Mapping[str, tuple[frozenset[Table], frozenset[str]]] = {
    "REJECT": (frozenset({"filter"}), frozenset({"INPUT", "FORWARD", "OUTPUT"})),
    **dict.fromkeys(("CT", "NOTRACK"), (frozenset[Table]({"raw"}), frozenset({"PREROUTING", "OUTPUT"}))),
    "MASQUERADE": (frozenset({"nat"}), frozenset({"POSTROUTING"})),
    "SNAT": (frozenset({"nat"}), frozenset({"POSTROUTING", "INPUT"})),
    "DNAT": (frozenset({"nat"}), frozenset({"PREROUTING", "OUTPUT"})),
}


@dataclass(frozen=True, slots=True)
class Action:
    """The place that a rule leads to: another chain, back, on, or what `do` says."""

    verb: Literal["jump", "goto", "return", "next", "do"]
    chain: str = ""
    do: Do | None = None
    target: str = ""


_NEXT, _RETURN = Action("next"), Action("return")


@lru_cache(_COMPILED_MAX)
def compiled(text: str, family: Family) -> Action:
    """Return what the action of a rule does; of a rule without one, nothing."""
    if not text:
        return _NEXT
    flag, target, *rest = words.split(text)
    if flag == "-g" and not rest:
        return Action("goto", target)
    if flag != "-j" or (target not in _ARITIES and (rest or target in TARGETS)):
        raise UnknownRule(f"{text}: target is not known to the model")
    if target not in _ARITIES:
        return Action("jump", target)
    if target == "RETURN" and not rest:
        return _RETURN
    clause = words.clauses(rest, _ARITIES, target, text)[0]
    try:
        return Action("do", "", _BUILDERS[target](clause, family), target)
    except (ValueError, KeyError) as error:
        raise UnknownRule(f"{text}: {target}: {error}") from error


def check_place(action: Action, table: Table, hook: str, text: str) -> None:
    """Raise for a target that Linux refuses in that table or at that hook."""
    tables, hooks = _PLACES.get(action.target, (None, None))
    if tables is not None and hooks is not None and (table not in tables or hook not in hooks):
        raise UnknownRule(
            f"{text}: Linux takes {action.target} only in {', '.join(sorted(tables))} "
            f"at {', '.join(sorted(hooks))}, not in {table} at {hook}"
        )


def _reject(clause: Clause, family: Family) -> Do:
    name = clause.value("--reject-with") or (
        "icmp-port-unreachable" if family == 4 else "icmp6-port-unreachable"
    )
    if name not in _REJECTS[family]:
        raise ValueError(f"{name} is no answer of IPv{family}")
    stop = Stop("REJECT", name)
    return lambda skb: stop


def _log(clause: Clause, family: Family) -> Do:
    return lambda skb: None


def _change_of_mark(clause: Clause) -> tuple[int, int]:
    """Return the bits to keep and the bits to turn over afterwards."""
    if len(clause.options) != 1:
        raise ValueError("one change of the mark at a time")
    ((option, (text, _)),) = clause.options.items()
    value, mask = words.masked(text)
    whole = 0xFFFFFFFF
    match option:
        case "--set-xmark":
            return whole & ~mask, value
        case "--set-mark":
            return whole & ~(mask | value), value
        case "--or-mark":
            return whole & ~value, value
        case "--and-mark":
            return value, 0
    return whole, value


def _mark(clause: Clause, family: Family) -> Do:
    kept, turned = _change_of_mark(clause)

    def do(skb: Skb) -> None:
        skb.mark = skb.mark & kept ^ turned

    return do


def _connmark(clause: Clause, family: Family) -> Do:
    of_packet, of_connection = (
        int(clause.value(option) or "0xffffffff", 0) for option in ("--nfmask", "--ctmask")
    )
    if "--save-mark" in clause.options:
        return lambda skb: _save(skb, of_packet, of_connection)
    if "--restore-mark" in clause.options:
        return lambda skb: _restore(skb, of_packet, of_connection)
    kept, turned = _change_of_mark(clause)

    def do(skb: Skb) -> None:
        if skb.connection is not None:
            skb.connection.mark = skb.connection.mark & kept ^ turned

    return do


def _save(skb: Skb, of_packet: int, of_connection: int) -> None:
    if skb.connection is not None:
        skb.connection.mark = skb.connection.mark & ~of_connection ^ skb.mark & of_packet


def _restore(skb: Skb, of_packet: int, of_connection: int) -> None:
    if skb.connection is not None:
        skb.mark = skb.mark & ~of_packet ^ skb.connection.mark & of_connection


def _untrack(clause: Clause, family: Family) -> Do:
    if clause.name == "CT" and not clause.options:
        raise ValueError("without --notrack it is not known to the model")

    def do(skb: Skb) -> None:
        if skb.connection is None:
            skb.state = "UNTRACKED"

    return do


def _masquerade(clause: Clause, family: Family) -> Do:
    low, high = _ports(clause.value("--to-ports") or "")
    is_random = _is_random(clause)

    def do(skb: Skb) -> Stop:
        towards = skb.destination if skb.next_hop is None else skb.next_hop
        address = skb.world.routing.source_over(skb.family, skb.out_interface, towards)
        return DROP if address is None else _settled(skb, Range(address, low, high, is_random))

    return do


def _to(option: str) -> Callable[[Clause, Family], Do]:
    """Return the builder of SNAT or DNAT, whose option names an address, ports, or both."""

    def build(clause: Clause, family: Family) -> Do:
        address, ports = _place(clause.value(option) or "", family)
        to = ip_address(address) if address else None
        if to is not None and to.version != family:
            raise ValueError(f"{to} is no address of IPv{family}")
        wanted = Range(int(to) if to is not None else None, *_ports(ports), _is_random(clause))
        return lambda skb: _settled(skb, wanted)

    return build


def _place(text: str, family: Family) -> tuple[str, str]:
    """Return the address and the ports of `10.244.1.2:80`, `[fd00::2]:80`, either alone."""
    if text.startswith("["):
        address, _, ports = text[1:].partition("]")
        return address, ports.removeprefix(":")
    if family == 6:
        return text, ""
    address, _, ports = text.partition(":")
    return address, ports


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return (int(low), int(high or low)) if text else (0, 0)


def _is_random(clause: Clause) -> bool:
    return not {"--random", "--random-fully"}.isdisjoint(clause.options)


def _settled(skb: Skb, wanted: Range) -> Stop:
    assert skb.connection is not None
    settle(skb.world.connections, skb.connection, END_AT[skb.hook], wanted)
    return ACCEPT


_BUILDERS: Mapping[str, Callable[[Clause, Family], Do]] = {
    "ACCEPT": lambda clause, family: lambda skb: ACCEPT,
    "DROP": lambda clause, family: lambda skb: DROP,
    "REJECT": _reject,
    "LOG": _log,
    "NFLOG": _log,
    "MARK": _mark,
    "CONNMARK": _connmark,
    "CT": _untrack,
    "NOTRACK": _untrack,
    "MASQUERADE": _masquerade,
    "SNAT": _to("--to-source"),
    "DNAT": _to("--to-destination"),
}
