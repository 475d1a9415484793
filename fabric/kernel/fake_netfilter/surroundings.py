"""Matches of what is around a packet: its connection, and the routes of the namespace that it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fabric.kernel.fake_netfilter import words
from fabric.kernel.fake_netfilter.skb import Skb
from fabric.kernel.fake_netfilter.words import Clause
from fabric.netstate.rules import Family

Match = Callable[[Skb], bool]
_STATES = frozenset({"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"})
_STATUSES = frozenset({"SEEN_REPLY", "ASSURED", "CONFIRMED"})


def connmark(clause: Clause, family: Family) -> Iterable[Match]:
    for text, is_inverted in clause.options.values():
        yield _connmark_is(*words.masked(text), is_inverted)


def _connmark_is(value: int, mask: int, is_inverted: bool) -> Match:
    """A packet of no connection has no mark to look at, and does not match either way."""
    return lambda skb: skb.connection is not None and (skb.connection.mark & mask == value) != is_inverted


def conntrack(clause: Clause, family: Family) -> Iterable[Match]:
    """A packet without a connection is asked for its state only; where that is not asked nothing matches."""
    asks_state = "--ctstate" in clause.options
    if asks_state:
        text, is_inverted = clause.options["--ctstate"]
        yield unless(_state_is(_known(text, _STATES)), is_inverted)
    if "--ctstatus" in clause.options:
        text, is_inverted = clause.options["--ctstatus"]
        yield _status_is(_known(text, _STATUSES), is_inverted, asks_state)
    if "--ctdir" in clause.options:
        text, is_inverted = clause.options["--ctdir"]
        is_reply = {"REPLY": True, "ORIGINAL": False}[text] != is_inverted
        yield lambda skb: asks_state if skb.connection is None else skb.is_reply == is_reply


def _known(text: str, known: frozenset[str]) -> frozenset[str]:
    names = frozenset(text.split(","))
    if names - known:
        raise ValueError(f"{', '.join(sorted(names - known))} is not known to the model")
    return names


def _state_is(names: frozenset[str]) -> Match:
    if not names & {"SNAT", "DNAT"}:
        return lambda skb: (skb.state or "INVALID") in names
    ends = {end for name, end in (("SNAT", "source"), ("DNAT", "destination")) if name in names}

    def is_one(skb: Skb) -> bool:
        found = skb.connection
        return (skb.state or "INVALID") in names or (
            found is not None and not ends.isdisjoint(found.translated)
        )

    return is_one


def _status_is(names: frozenset[str], is_inverted: bool, without: bool) -> Match:
    def has_one(skb: Skb) -> bool:
        found = skb.connection
        if found is None:
            return without
        has = {"SEEN_REPLY": found.has_reply, "ASSURED": found.is_assured, "CONFIRMED": found.is_confirmed}
        return any(has[name] for name in names) != is_inverted

    return has_one


def addrtype(clause: Clause, family: Family) -> Iterable[Match]:
    limits = {"--limit-iface-in", "--limit-iface-out"} & clause.options.keys()
    if len(limits) > 1:
        raise ValueError("one limit-iface at most")
    limit = next(iter(limits), "")
    for option in ("--src-type", "--dst-type"):
        if option in clause.options:
            text, is_inverted = clause.options[option]
            names = frozenset(text.split(","))
            yield unless(_is_of_type(names, family, limit, is_source=option == "--src-type"), is_inverted)


def _is_of_type(names: frozenset[str], family: Family, limit: str, *, is_source: bool) -> Match:
    def is_one(skb: Skb) -> bool:
        device = "" if not limit else skb.in_interface if limit == "--limit-iface-in" else skb.out_interface
        address = skb.source if is_source else skb.destination
        return not names.isdisjoint(skb.world.routing.types(family, address, device))

    return is_one


def rpfilter(clause: Clause, family: Family) -> Iterable[Match]:
    """There are no rules of `ip rule`, so that `--validmark` changes nothing."""
    is_loose, takes_local = "--loose" in clause.options, "--accept-local" in clause.options

    def is_right(skb: Skb) -> bool:
        if skb.in_interface == "lo":
            return True
        ways = skb.world.routing
        return ways.is_reverse_path(
            family, skb.source, skb.in_interface, is_loose=is_loose, takes_local=takes_local
        )

    yield unless(is_right, "--invert" in clause.options)


def unless(match: Match, is_inverted: bool) -> Match:
    return (lambda skb: not match(skb)) if is_inverted else match
