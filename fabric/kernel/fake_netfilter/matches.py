"""The match of a rule made into one function of a packet, once for each text.

What netfilter's own modules do is followed where it surprises: a set of addresses and ports that is asked by
one end only never matches, and `! --match-set` of it always does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address

from fabric.kernel.fake_netfilter import surroundings, words
from fabric.kernel.fake_netfilter.packets import UnknownRule
from fabric.kernel.fake_netfilter.protocols import protocol_number
from fabric.kernel.fake_netfilter.skb import FLAG_BITS, Skb
from fabric.kernel.fake_netfilter.surroundings import Match, unless
from fabric.kernel.fake_netfilter.words import Clause
from fabric.netstate.rules import Family

_COMPILED_MAX = 1 << 17
_HEAD = "the rule's beginning"
_PORTS = {"--sport": 1, "--dport": 1}
_BITS: dict[Family, int] = {4: 32, 6: 128}
_ARITIES: words.Arities = {
    _HEAD: {"-s": 1, "-d": 1, "-i": 1, "-o": 1, "-p": 1},
    "comment": {"--comment": 1},
    "tcp": {**_PORTS, "--tcp-flags": 2},
    "udp": _PORTS,
    "udplite": _PORTS,
    "sctp": _PORTS,
    "dccp": _PORTS,
    "multiport": {"--sports": 1, "--dports": 1, "--ports": 1},
    "icmp": {"--icmp-type": 1},
    "icmp6": {"--icmpv6-type": 1},
    "set": {"--match-set": 2},
    "mark": {"--mark": 1},
    "connmark": {"--mark": 1},
    "conntrack": {"--ctstate": 1, "--ctstatus": 1, "--ctdir": 1},
    "addrtype": {"--src-type": 1, "--dst-type": 1, "--limit-iface-in": 0, "--limit-iface-out": 0},
    "rpfilter": {"--loose": 0, "--validmark": 0, "--accept-local": 0, "--invert": 0},
}


@lru_cache(_COMPILED_MAX)
def compiled(text: str, family: Family) -> Match | None:
    """Return the function that says whether a packet matches; None where every packet does."""
    found: list[Match] = []
    for clause in words.clauses(words.split(text), _ARITIES, _HEAD, text):
        try:
            found += _BUILDERS[clause.name](clause, family)
        except (ValueError, KeyError) as error:
            raise UnknownRule(f"{text}: {clause.name}: {error}") from error
    return _all(found)


def _all(found: Sequence[Match]) -> Match | None:
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    if len(found) == 2:
        a, b = found
        return lambda skb: a(skb) and b(skb)
    a, b, *rest = found
    return lambda skb: a(skb) and b(skb) and all(it(skb) for it in rest)


def _head(clause: Clause, family: Family) -> Iterable[Match]:
    """The protocol first, since it is the cheapest to tell."""
    for option in ("-p", "-i", "-o", "-s", "-d"):
        if option not in clause.options:
            continue
        value, is_inverted = clause.options[option]
        if option == "-p":
            found = _protocol(protocol_number(value))
        elif option in ("-i", "-o"):
            found = _device(value, is_in=option == "-i")
        else:
            found = _network(value, family, is_source=option == "-s")
        yield unless(found, is_inverted)


def _protocol(number: int | None) -> Match:
    return _true if number is None else lambda skb: skb.protocol == number


def _true(skb: Skb) -> bool:
    return True


def _device(name: str, *, is_in: bool) -> Match:
    if name.endswith("+"):
        start = name[:-1]
        if is_in:
            return lambda skb: skb.in_interface.startswith(start)
        return lambda skb: skb.out_interface.startswith(start)
    if is_in:
        return lambda skb: skb.in_interface == name
    return lambda skb: skb.out_interface == name


def _network(text: str, family: Family, *, is_source: bool) -> Match:
    address, _, length = text.partition("/")
    parsed = ip_address(address)
    if parsed.version != family:
        raise ValueError(f"{text} is no address of IPv{family}")
    bits = _BITS[family]
    if not length or length.isdecimal():
        mask = (1 << bits) - (1 << bits - int(length or bits))
    else:
        mask = int(ip_address(length))
    network = int(parsed) & mask
    if is_source:
        return lambda skb: skb.source & mask == network
    return lambda skb: skb.destination & mask == network


def _ports(clause: Clause, family: Family) -> Iterable[Match]:
    for option, (value, is_inverted) in clause.options.items():
        if option == "--tcp-flags":
            yield unless(_flags(value), is_inverted)
            continue
        low, high = _range(value)
        yield unless(_port(low, high, is_source=option == "--sport"), is_inverted)


def _range(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    if not colon:
        return int(text), int(text)
    return int(low or 0), int(high or 65535)


def _port(low: int, high: int, *, is_source: bool) -> Match:
    if is_source:
        return lambda skb: low <= skb.source_port <= high
    return lambda skb: low <= skb.destination_port <= high


def _flags(text: str) -> Match:
    mask, wanted = (
        sum(0 if name == "NONE" else FLAG_BITS[name] for name in names.split(","))
        for names in text.split(" ")
    )
    return lambda skb: skb.flags & mask == wanted


def _multiport(clause: Clause, family: Family) -> Iterable[Match]:
    for option, (value, is_inverted) in clause.options.items():
        ranges = [_range(it) for it in value.split(",")]
        sources = [_port(*it, is_source=True) for it in ranges] * (option != "--dports")
        ports = sources + [_port(*it, is_source=False) for it in ranges] * (option != "--sports")
        yield unless(lambda skb, ports=ports: any(it(skb) for it in ports), is_inverted)  # type: ignore[misc]


def _icmp(clause: Clause, family: Family) -> Iterable[Match]:
    for value, is_inverted in clause.options.values():
        if value == "any":
            yield unless(_true, is_inverted)
            continue
        kind, _, code = value.partition("/")
        yield unless(_icmp_type(int(kind), int(code) if code else None), is_inverted)


def _icmp_type(kind: int, code: int | None) -> Match:
    if code is None:
        return lambda skb: skb.icmp_type == kind
    return lambda skb: skb.icmp_type == kind and skb.icmp_code == code


def _set(clause: Clause, family: Family) -> Iterable[Match]:
    for value, is_inverted in clause.options.values():
        name, ends = value.split(" ")
        known = {"src": True, "dst": False}
        directions = tuple(known[it] for it in ends.split(","))
        if is_inverted:
            yield lambda skb, name=name, to=directions: not skb.world.sets[name].has(skb, to)  # type: ignore[misc]
        else:
            yield lambda skb, name=name, to=directions: skb.world.sets[name].has(skb, to)  # type: ignore[misc]


def _mark(clause: Clause, family: Family) -> Iterable[Match]:
    for text, is_inverted in clause.options.values():
        yield unless(_mark_is(*words.masked(text)), is_inverted)


def _mark_is(value: int, mask: int) -> Match:
    return lambda skb: skb.mark & mask == value


def _nothing(clause: Clause, family: Family) -> Iterable[Match]:
    return ()


_BUILDERS: Mapping[str, Callable[[Clause, Family], Iterable[Match]]] = {
    _HEAD: _head,
    "comment": _nothing,
    **dict.fromkeys(("tcp", "udp", "udplite", "sctp", "dccp"), _ports),
    "multiport": _multiport,
    **dict.fromkeys(("icmp", "icmp6"), _icmp),
    "set": _set,
    "mark": _mark,
    "connmark": surroundings.connmark,
    "conntrack": surroundings.conntrack,
    "addrtype": surroundings.addrtype,
    "rpfilter": surroundings.rpfilter,
}
