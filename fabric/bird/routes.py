"""`show route [all]`: what is in BIRD's tables, who said it, and which route won.

A route is a row (1007) `prefix kind [protocol since from peer] * (preference/metric) [AS1i]`, where `*` marks
the best of its prefix and a row without a prefix is one more route to the prefix above it; a line for each
next hop, which begins with a tab; and with `all` its attributes (1008 and 1012), also behind a tab. Tables
open with `Table master4:`. Rows of one code follow each other as continuation lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fabric.bird.control import Answer, BadAnswer, Line
from fabric.bird.status import TIMESTAMP

ROUTE, TYPE, ATTRIBUTE = 1007, 1008, 1012

_ROW = re.compile(
    r"(?P<prefix>[0-9a-f.:]+/\d+)?\s+(?P<kind>\w+)"
    rf" \[(?P<protocol>\S+) (?P<since>{TIMESTAMP.pattern})(?: from (?P<from>[^\]]+))?\]"
    r"(?P<best> \*)?(?: \((?P<preference>\d+)(?:/(?P<metric>[^)]*))?\))?"
    r"(?: \[(?:AS(?P<origin_as>\d+))?(?P<origin>[ie?])?[^\]]*\])?.*"
)
_HOP = re.compile(
    r"(?:via (?P<via>[0-9a-f.:]+) on|dev) (?P<dev>\S+)"
    r"(?: mpls \S+)?(?P<onlink> onlink)?(?: weight (?P<weight>\d+))?"
)
_NUMBERS = re.compile(r"\(([\d, ]+)\)")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class NextHop:
    """A next hop: a gateway on a device, or the device alone."""

    dev: str
    via: Address | None = None
    onlink: bool = False
    weight: int = 1


@dataclass(frozen=True, slots=True)
class BirdRoute:
    """A route of one protocol; several may have the same prefix, and one of them is the best."""

    prefix: IPv4Network | IPv6Network
    kind: str
    """unicast, blackhole, unreachable, or prohibited."""
    protocol: str
    """The name of the protocol instance it came from."""
    since: str
    table: str = ""
    is_best: bool = False
    preference: int = 0
    metric: str = ""
    """The cost of reaching the next hop; `?` when it is not known."""
    learned_from: Address | None = None
    """The peer, where that is not the next hop (a route reflector's)."""
    origin_as: int | None = None
    next_hops: tuple[NextHop, ...] = ()
    type: str = ""
    """`BGP univ`, `static univ`, `inherit univ` … With `all` only, as are the attributes."""
    attributes: tuple[tuple[str, str], ...] = ()
    """(`BGP.as_path`, `64513`), (`Kernel.metric`, `32`) …, in BIRD's order."""

    def attribute(self, name: str) -> str:
        """An attribute's text, or "" where the route has none of that name."""
        return dict(self.attributes).get(name, "")

    @property
    def as_path(self) -> tuple[int, ...]:
        """The AS numbers of the path, the nearest first; those of a set in the set's order."""
        return tuple(map(int, re.findall(r"\d+", self.attribute("BGP.as_path"))))

    @property
    def communities(self) -> tuple[tuple[int, ...], ...]:
        return _tuples(self.attribute("BGP.community"))

    @property
    def large_communities(self) -> tuple[tuple[int, ...], ...]:
        return _tuples(self.attribute("BGP.large_community"))

    @property
    def local_preference(self) -> int | None:
        text = self.attribute("BGP.local_pref")
        return int(text) if text else None

    @property
    def bgp_next_hop(self) -> Address | None:
        """The next hop that BGP told, before it was resolved to a gateway and a device."""
        words = self.attribute("BGP.next_hop").split()
        return ip_address(words[0]) if words else None


def read_routes(answer: Answer) -> tuple[BirdRoute, ...]:
    """Read the answer to `show route` or `show route all`, in its order."""
    return tuple(_routes(answer))


def _routes(answer: Answer) -> Iterator[BirdRoute]:
    table = ""
    route: BirdRoute | None = None
    prefix: IPv4Network | IPv6Network | None = None
    for line in answer.of(ROUTE, TYPE, ATTRIBUTE):
        if line.text.startswith("\t"):
            if route is None:
                raise BadAnswer(f"show route: {line.text!r} belongs to no route")
            route = _with(route, line)
        elif line.text.startswith("Table "):
            table = line.text.removeprefix("Table ").rstrip(":")
        elif line.text.strip():
            if route is not None:
                yield route
            route = _row(line.text, table, prefix)
            prefix = route.prefix
    if route is not None:
        yield route


def _row(text: str, table: str, prefix: IPv4Network | IPv6Network | None) -> BirdRoute:
    match = _ROW.fullmatch(text)
    if match is None or not (match["prefix"] or prefix):
        raise BadAnswer(f"show route: {text!r}")
    found = ip_network(match["prefix"]) if match["prefix"] else prefix
    assert found is not None
    return BirdRoute(
        prefix=found,
        kind=match["kind"],
        protocol=match["protocol"],
        since=match["since"],
        table=table,
        is_best=bool(match["best"]),
        preference=int(match["preference"] or 0),
        metric=match["metric"] or "",
        learned_from=ip_address(match["from"].partition("%")[0]) if match["from"] else None,
        origin_as=int(match["origin_as"]) if match["origin_as"] else None,
    )


def _with(route: BirdRoute, line: Line) -> BirdRoute:
    """The route with what one of its lines adds."""
    text = line.text.strip()
    if line.code == ROUTE:
        hop = _HOP.match(text)
        if hop is None:
            raise BadAnswer(f"show route: {line.text!r} is no next hop")
        via = ip_address(hop["via"]) if hop["via"] else None
        new = NextHop(hop["dev"], via, bool(hop["onlink"]), int(hop["weight"] or 1))
        return replace(route, next_hops=(*route.next_hops, new))
    key, _, value = text.partition(":")
    if line.code == TYPE and key == "Type":
        return replace(route, type=value.strip())
    return replace(route, attributes=(*route.attributes, (key, value.strip())))


def _tuples(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, found.split(","))) for found in _NUMBERS.findall(text))
