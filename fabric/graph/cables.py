"""The cables between blocks: straight where no other block is in the way, else bent around these. Pure.

A cable passes through no box but those at its ends, and through no frame but its ends'. A bent one is the
shortest way over corners of frames.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fabric.graph.blocks import Box
from fabric.topology.wiring import Link, Wiring

Point = tuple[float, float]
Cable = tuple[Point, ...]
"""The corners of a cable, its ends first and last."""
_Ways = Mapping[Point, Sequence[tuple[Point, float]]]
"""From each corner: those that can be seen from it, with their distance."""

BENT_BLOCKS_MAX = 80
"""With more blocks than these all cables are straight: nobody could follow a bent one."""
CLEARANCE = 8.0
LANE, _BENT_LANE, _BENT_LANE_MAX = 14.0, 2.5, 5.0
"""Distance of parallel cables, of bent ones, and of the last of these from the first."""


class Obstacles:
    """The blocks of a picture, around which cables are bent."""

    def __init__(
        self,
        boxes: Mapping[str, Box],
        frames: Mapping[str, Box],
        rows: Mapping[str, Sequence[Sequence[str]]],
    ) -> None:
        """All of a layout: boxes by device, frames and rows of hosts by the device that they hang on."""
        hung = {host for own in rows.values() for row in own for host in row}
        self._boxes = {name: box for name, box in boxes.items() if name not in hung}
        self._whole = {name: frames.get(name, box) for name, box in self._boxes.items()}
        self._hosts = {name: _hull(boxes[it] for row in own for it in row) for name, own in rows.items()}
        self._ways: _Ways | None = None

    def cables(self, wiring: Wiring) -> dict[str, Cable]:
        """Return the cable of each link between two blocks, by the link's name."""
        found: dict[str, Cable] = {}
        for link in wiring.links:
            if link.a in self._boxes and link.b in self._boxes:
                found[link.name] = self._straight(link) or self._bent(link)
        return found

    def in_the_way(self, wiring: Wiring) -> int:
        """Return how many links between two blocks cannot be straight."""
        links = (it for it in wiring.links if it.a in self._boxes and it.b in self._boxes)
        return sum(self._straight(it) is None for it in links)

    def _straight(self, link: Link) -> Cable | None:
        """Return the line between edges, or between middles; None where something is in the way of both."""
        a, b = self._boxes[link.a], self._boxes[link.b]
        lane = LANE * (link.number - 1)
        between = beside(a.middle, b.middle, lane)
        tries = (_edges(a, b, lane) or between, between)
        if len(self._boxes) > BENT_BLOCKS_MAX:
            return tries[0]
        around = [*self._obstacles(link.a, link.b)]
        return next((it for it in tries if not any(crosses(box, *it) for box in around)), None)

    def _bent(self, link: Link) -> Cable:
        """The shortest way over corners of frames; straight where there is none."""
        start, end = self._boxes[link.a].middle, self._boxes[link.b].middle
        found = _way(start, end, [*self._obstacles(link.a, link.b)], self._corner_ways())
        shift = min(_BENT_LANE * (link.number - 1), _BENT_LANE_MAX)
        return tuple((round(x + shift, 1), round(y + shift, 1)) for x, y in found or (start, end))

    def _obstacles(self, *ends: str) -> Iterator[Box]:
        """Other blocks with their frames, and the hosts of the ends' own."""
        for name, whole in self._whole.items():
            if name not in ends:
                yield whole
            elif name in self._hosts:
                yield self._hosts[name]

    def _corner_ways(self) -> _Ways:
        if self._ways is None:
            frames = list(self._whole.values())
            self._ways = _ways(frames, CLEARANCE)
        return self._ways


def way_around(start: Point, end: Point, boxes: Sequence[Box], clearance: float) -> Cable | None:
    """Return the shortest way over corners of the boxes, at some distance; None where there is none."""
    return _way(start, end, boxes, _ways(boxes, clearance))


def _way(start: Point, end: Point, around: Sequence[Box], ways: _Ways) -> Cable | None:
    last = frozenset(it for it in ways if not any(crosses(box, it, end) for box in around))
    first = [it for it in ways if not any(crosses(box, start, it) for box in around)]
    return _shortest(start, end, first, ways, last)


def _ways(boxes: Sequence[Box], clearance: float) -> _Ways:
    """Return, for each corner of a box, those that can be seen from it, with their distance."""
    corners = (it for box in boxes for it in _corners(box, clearance))
    points = [it for it in corners if not _is_covered(it, boxes)]
    ways: dict[Point, list[tuple[Point, float]]] = {point: [] for point in points}
    for index, one in enumerate(points):
        for other in points[index + 1 :]:
            if not any(crosses(box, one, other) for box in boxes):
                ways[one].append((other, math.dist(one, other)))
                ways[other].append((one, math.dist(one, other)))
    return ways


def crosses(box: Box, start: Point, end: Point) -> bool:
    """True where a line has a part of it inside the box; touching its edge is none."""
    (x, y), (x2, y2) = start, end
    right, bottom = box.left + box.width, box.top + box.height
    if (x <= box.left >= x2) or (x >= right <= x2) or (y <= box.top >= y2) or (y >= bottom <= y2):
        return False
    across, down = x2 - x, y2 - y
    first, last = 0.0, 1.0
    for step, room in (
        (-across, x - box.left),
        (across, right - x),
        (-down, y - box.top),
        (down, bottom - y),
    ):
        if step == 0:
            if room <= 0:
                return False
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
        if first >= last:
            return False
    return True


def _edges(a: Box, b: Box, lane: float) -> tuple[Point, Point] | None:
    """Return the line between facing edges where one is above the other; `lane`: from their middles."""
    aside = min(lane, a.width / 2 - CLEARANCE, b.width / 2 - CLEARANCE)
    x1, x2 = a.middle[0] + aside, b.middle[0] + aside
    if a.top + a.height <= b.top:
        return (round(x1, 1), round(a.top + a.height, 1)), (round(x2, 1), round(b.top, 1))
    if b.top + b.height <= a.top:
        return (round(x1, 1), round(a.top, 1)), (round(x2, 1), round(b.top + b.height, 1))
    return None


def beside(start: Point, end: Point, aside: float) -> tuple[Point, Point]:
    """Return the line moved over by so much."""
    (x1, y1), (x2, y2) = start, end
    length = math.dist(start, end) or 1.0
    dx, dy = -(y2 - y1) / length * aside, (x2 - x1) / length * aside
    return (round(x1 + dx, 1), round(y1 + dy, 1)), (round(x2 + dx, 1), round(y2 + dy, 1))


def _shortest(
    start: Point,
    end: Point,
    first: Sequence[Point],
    ways: _Ways,
    last: frozenset[Point],
) -> Cable | None:
    """The shortest way from `start` over one of `first` and one of `last` to `end`."""
    ahead: list[tuple[float, Cable]] = [(math.dist(start, it), (start, it)) for it in first]
    heapq.heapify(ahead)
    seen: set[Point] = set()
    while ahead:
        length, way = heapq.heappop(ahead)
        here = way[-1]
        if here == end:
            return way
        if here in seen:
            continue
        seen.add(here)
        if here in last:
            heapq.heappush(ahead, (length + math.dist(here, end), (*way, end)))
        for other, distance in ways[here]:
            if other not in seen:
                heapq.heappush(ahead, (length + distance, (*way, other)))
    return None


def _corners(box: Box, clearance: float) -> Iterator[Point]:
    for x in (box.left - clearance, box.left + box.width + clearance):
        for y in (box.top - clearance, box.top + box.height + clearance):
            yield x, y


def _is_covered(point: Point, frames: Iterable[Box]) -> bool:
    x, y = point
    return any(it.left < x < it.left + it.width and it.top < y < it.top + it.height for it in frames)


def _hull(boxes: Iterable[Box]) -> Box:
    """The smallest box around these."""
    found = list(boxes)
    left, top = min(it.left for it in found), min(it.top for it in found)
    right, bottom = max(it.left + it.width for it in found), max(it.top + it.height for it in found)
    return Box(left, top, right - left, bottom - top)
