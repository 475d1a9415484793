"""The lines of BGP sessions: straight, beside the link that they use, or around the boxes in between. Pure.

A line passes through no box but those at its ends, and lies on no other line where there is room. Two hosts
of one row are joined above their row, for between them there is a gap of a few pixels only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from fabric.graph.blocks import Box
from fabric.graph.cables import LANE, Cable, Point, beside, crosses, way_around
from fabric.graph.layout import Layout
from fabric.graph.picture import Peering
from fabric.topology.wiring import Wiring

ROUTED_MAX = 60
"""Of more sessions than these all lines are straight: nobody could follow them."""
_BESIDE, _BESIDE_BENT = 5.0, 3.0
"""How far a session is drawn beside a straight link, and beside a bent one."""
_PARALLEL_MAX = 4
_LANES = (3.0, 7.0, 11.0, 15.0, 19.0, 23.0, 5.0, 9.0, 13.0, 17.0, 21.0)
"""Distances from the boxes that a line goes around: it takes the first where no other line runs."""
_PORTS = 6.0
"""Space between the lines that leave a host's top."""


class Lines:
    """The lines of a picture's sessions, laid one after the other."""

    def __init__(self, places: Layout, cables: Mapping[str, Cable], wiring: Wiring) -> None:
        self._boxes = places.boxes
        self._cables = cables
        self._wiring = wiring
        self._drawn: list[tuple[Point, Point]] = []

    def of(self, peerings: Sequence[Peering]) -> list[tuple[Peering, Cable]]:
        """Return the line of each session whose ends are both in the picture; the shortest are laid first."""
        ends = [it for it in peerings if it.a in self._boxes and it.b in self._boxes]
        if len(ends) > ROUTED_MAX:
            return [(it, self._straight(it.a, it.b)) for it in ends]
        return [(it, self._laid(it.a, it.b)) for it in sorted(ends, key=self._length)]

    def _length(self, peering: Peering) -> float:
        return math.dist(self._boxes[peering.a].middle, self._boxes[peering.b].middle)

    def _laid(self, a: str, b: str) -> Cable:
        """Return the first line that is free; of those that lie on others the first."""
        others = [box for name, box in self._boxes.items() if name not in (a, b)]
        second: Cable | None = None
        for line in self._tries(a, b, others):
            if _is_blocked(line, others):
                continue
            if not self._lies_on_another(line):
                break
            second = second or line
        else:
            line = second or self._straight(a, b)
        self._drawn += pairwise(line)
        return line

    def _tries(self, a: str, b: str, others: Sequence[Box]) -> Iterator[Cable]:
        """Yield lines between two boxes, the best first."""
        one, other = sorted((self._boxes[a], self._boxes[b]), key=lambda box: box.left)
        if one.top == other.top and self._wiring.device(a).role == self._wiring.device(b).role == "host":
            yield from (_above(one, other, lane, index) for index, lane in enumerate(_LANES))
        else:
            if bent := self._bent_between(a, b):
                yield tuple((x - _BESIDE_BENT, y - _BESIDE_BENT) for x, y in bent)
            yield from (self._straight(a, b, number) for number in range(_PARALLEL_MAX))
        for lane in _LANES:
            yield from _around(one.middle, other.middle, others, lane)

    def _straight(self, a: str, b: str, number: int = 0) -> Cable:
        """Return the line beside the straight cable; of parallel ones that of this number, from 0."""
        return beside(self._boxes[a].middle, self._boxes[b].middle, LANE * number - _BESIDE)

    def _bent_between(self, a: str, b: str) -> Cable | None:
        """Return the bent cable between two devices, if there is one."""
        links = (it for it in self._wiring.links_of(a) if it.other(a) == b)
        cables = (self._cables.get(it.name, ()) for it in links)
        return next((it for it in cables if len(it) > 2), None)

    def _lies_on_another(self, line: Cable) -> bool:
        return any(_overlap(part, drawn) for part in pairwise(line) for drawn in self._drawn)


def _above(left: Box, right: Box, lane: float, index: int) -> Cable:
    """Return a line from top to top over the row; further lines leave further from the facing sides."""
    inset = min(8.0 + _PORTS * index, left.width / 2)
    x1, x2, y = left.left + left.width - inset, right.left + inset, left.top
    slope = min(lane, (x2 - x1) / 3)
    return (x1, y), (x1 + slope, y - lane), (x2 - slope, y - lane), (x2, y)


def _around(start: Point, end: Point, boxes: Sequence[Box], lane: float) -> Iterator[Cable]:
    """Yield the shortest way around the boxes that turn out to be in the way, where there is one."""
    known: list[Box] = []
    line: Cable | None = (start, end)
    while line is not None:
        met = [it for it in boxes if it not in known and any(crosses(it, *part) for part in pairwise(line))]
        if not met:
            yield tuple((round(x, 1), round(y, 1)) for x, y in line)
            return
        known += met
        line = way_around(start, end, known, lane)


def _is_blocked(line: Cable, boxes: Iterable[Box]) -> bool:
    return any(crosses(box, *part) for box in boxes for part in pairwise(line))


def _overlap(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """True where two pieces of line run on each other for some pixels."""
    (x, y), (x2, y2) = one
    length = math.dist(*one)
    if not length:
        return False
    along, aside = [], []
    for px, py in other:
        along.append(((px - x) * (x2 - x) + (py - y) * (y2 - y)) / length)
        aside.append(abs((px - x) * (y2 - y) - (py - y) * (x2 - x)) / length)
    return max(aside) < 1.5 and min(length, max(along)) - max(0.0, min(along)) > 3
