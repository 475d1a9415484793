"""The layout computes where each box of a picture stands, in pixels from the top left. Pure.

Blocks (`blocks`: a switch or router with its hosts) stand in rows by tier, the highest on top, each near the
middle of those that it is linked to. Where all are of one tier, a ring or a mesh stands on a circle or in two
rows that face each other, and any other graph has its centre on top. Of these, and of the numbers of hosts in
a row, the layout is taken with which the fewest cables must be bent around blocks, and then the one whose
shape is nearest to a screen's. The same graph is always the same layout.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fabric.graph.blocks import Block, Box, block, device_lines, host_lines, hosts_of, largest
from fabric.graph.cables import Obstacles
from fabric.graph.picture import Picture
from fabric.topology.wiring import Wiring, natural

MARGIN, GAP = 24.0, 28.0
TIER_GAP, TIER_GAP_MAX = 84.0, 240.0
LABEL_GAP = 150.0
"""Space for what a link does, between blocks of one row that are linked."""
SESSION_ROOM = 14.0
"""Space between hosts beyond the usual, for the BGP sessions that go around them."""
ROW_WIDTH_MAX = 3000.0
SHAPE = 1.6
"""Width by height that is aimed at."""
COLUMNS_MAX = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Every device's box, the frames of the blocks that have hosts, and the size of it all."""

    boxes: Mapping[str, Box]
    frames: Mapping[str, Box] = field(default_factory=dict)
    """By the switch or router of the block."""
    rows: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Rows of hosts, by the switch or router that they hang on."""
    width: float = 0.0
    height: float = 0.0
    room: float = 0.0
    """Space around hosts beyond the usual."""

    @property
    def distortion(self) -> float:
        """The distance of the shape from the one that is aimed at."""
        return abs(math.log(self.width / self.height / SHAPE))

    @property
    def obstacles(self) -> Obstacles:
        """The blocks as cables meet them."""
        return Obstacles(self.boxes, self.frames, self.rows)


def layout(picture: Picture, *, with_labels: bool = False) -> Layout:
    """Return the layout with the fewest bent cables; `with_labels` leaves room for addresses."""
    wiring = picture.wiring
    hosts = hosts_of(wiring)
    device = largest(device_lines(picture, name, with_labels=with_labels) for name in hosts)
    cell = largest(
        host_lines(picture, it.name, with_labels=with_labels)
        for it in wiring.of_role("host")
        if it.name not in hosts
    )
    room = SESSION_ROOM if _has_sessions_of_hosts(picture) else 0.0
    most = max((len(it) for it in hosts.values()), default=1)
    found: list[Layout] = []
    for columns in range(1, min(most, COLUMNS_MAX) + 1):
        blocks = {it: block(it, own, columns, device, cell, room) for it, own in hosts.items()}
        found += _arranged(wiring, blocks)
    best = min(found, key=lambda it: (it.obstacles.in_the_way(wiring), it.distortion))
    return replace(best, room=room)


def _has_sessions_of_hosts(picture: Picture) -> bool:
    hosts = {it.name for it in picture.wiring.of_role("host")}
    return any(it.a in hosts or it.b in hosts for it in picture.peerings)


def _arranged(wiring: Wiring, blocks: Mapping[str, Block]) -> Iterator[Layout]:
    """Yield the layouts that suit the graph."""
    depths = _depths(wiring, blocks)
    if len(set(depths.values())) == 1 and _is_round(wiring, blocks):
        order = list(_walk(wiring, sorted(blocks, key=natural), blocks.keys()))
        corners = _circle(order, blocks)
        middle = sum(y + blocks[it].boxes[it].middle[1] for it, (_, y) in corners.items()) / len(corners)
        yield _placed(
            corners,
            {
                name: it.flipped() if corners[name][1] + it.size[1] / 2 < middle else it
                for name, it in blocks.items()
            },
        )
        half = (len(order) + 1) // 2
        facing = {name: it.flipped() if name in order[:half] else it for name, it in blocks.items()}
        yield _placed(_in_lines(wiring, [order[:half], order[: half - 1 : -1]], facing), facing)
    else:
        turned = _turned(blocks, depths)
        yield _placed(_tiers(wiring, turned, depths), turned)


def _placed(corners: Mapping[str, tuple[float, float]], blocks: Mapping[str, Block]) -> Layout:
    """Return the layout of blocks whose top left corners are given, moved to the sheet's."""
    left = min((x for x, _ in corners.values()), default=0.0) - MARGIN
    top = min((y for _, y in corners.values()), default=0.0) - MARGIN
    boxes: dict[str, Box] = {}
    frames: dict[str, Box] = {}
    for name, (x, y) in corners.items():
        block = blocks[name]
        boxes |= {it: box.moved(x - left, y - top) for it, box in block.boxes.items()}
        if block.hosts:
            frames[name] = Box(x - left, y - top, *block.size)
    right = max((x + blocks[name].size[0] for name, (x, _) in corners.items()), default=0.0)
    bottom = max((y + blocks[name].size[1] for name, (_, y) in corners.items()), default=0.0)
    rows = {name: block.hosts for name, block in blocks.items() if block.hosts}
    return Layout(boxes, frames, rows, right - left + MARGIN, bottom - top + MARGIN)


def _turned(blocks: Mapping[str, Block], depths: Mapping[str, int]) -> dict[str, Block]:
    """Return the blocks, those on top with their hosts above the device, out of the way of its links."""
    lowest = max(depths.values(), default=0)
    return {name: it.flipped() if depths[name] == 0 < lowest else it for name, it in blocks.items()}


def _depths(wiring: Wiring, blocks: Mapping[str, Block]) -> dict[str, int]:
    """Return the row of each block, 0 on top: by tier; with one tier, by distance from the centre."""
    tiers = sorted({wiring.device(name).tier for name in blocks}, reverse=True)
    if len(tiers) > 1 or len(blocks) < 3:
        return {name: tiers.index(wiring.device(name).tier) for name in blocks}
    distances = {name: _distances(wiring, name, blocks) for name in blocks}
    reach = {name: max(found.values()) for name, found in distances.items()}
    centre = [name for name in blocks if reach[name] == min(reach.values())]
    return {name: min(distances[it].get(name, 0) for it in centre) for name in blocks}


def _distances(wiring: Wiring, root: str, blocks: Mapping[str, Block]) -> dict[str, int]:
    """Return the number of links to every block that can be reached."""
    found = {root: 0}
    queue = deque([root])
    while queue:
        here = queue.popleft()
        for name in wiring.neighbors(here):
            if name in blocks and name not in found:
                found[name] = found[here] + 1
                queue.append(name)
    return found


def _is_round(wiring: Wiring, blocks: Mapping[str, Block]) -> bool:
    """True where more than a chain of blocks is linked within one tier."""
    pairs = {frozenset((it.a, it.b)) for it in wiring.links if it.a in blocks and it.b in blocks}
    return len(blocks) > 2 and len(pairs) >= len(blocks)


def _circle(order: Sequence[str], blocks: Mapping[str, Block]) -> dict[str, tuple[float, float]]:
    """Return the corners of blocks on an ellipse, in this order, none over another."""
    width = max(it.size[0] for it in blocks.values())
    height = max(it.size[1] for it in blocks.values())
    across, down = 0.0, 0.0
    while True:
        corners: dict[str, tuple[float, float]] = {}
        for index, name in enumerate(order):
            angle = 2 * math.pi * index / len(order) - math.pi / 2
            x, y = across * math.cos(angle), down * math.sin(angle)
            own = blocks[name].size
            corners[name] = (x - own[0] / 2, y - own[1] / 2)
        spaces = [
            Box(x - GAP / 2, y - GAP / 2, width + GAP, height + GAP)
            for x, y in ((c[0] + blocks[n].size[0] / 2 - width / 2, c[1] + blocks[n].size[1] / 2 - height / 2)
                         for n, c in corners.items())
        ]  # fmt: skip
        near = zip(spaces, [*spaces[1:], spaces[0]], strict=True)
        if across and not any(a.overlaps(b) for a, b in near):
            return corners
        across, down = across + width / 3, down + width / 3 / SHAPE


def _walk(wiring: Wiring, order: Sequence[str], among: object) -> Iterator[str]:
    """Yield every name, after each the first of its neighbours that was not yet: a ring in its order."""
    names = set(order)
    seen: set[str] = set()
    for root in order:
        ahead = [root]
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            yield name
            ahead += [it for it in reversed(wiring.neighbors(name)) if it in names and it not in seen]


def _tiers(
    wiring: Wiring, blocks: Mapping[str, Block], depths: Mapping[str, int]
) -> dict[str, tuple[float, float]]:
    """Return the corners of blocks in rows by depth; a row that is too wide is broken."""
    rows = _ordered(wiring, blocks, depths)
    return _in_lines(wiring, [line for row in rows for line in _wrapped(row, blocks)], blocks)


def _in_lines(
    wiring: Wiring, lines: Sequence[Sequence[str]], blocks: Mapping[str, Block]
) -> dict[str, tuple[float, float]]:
    """Return the corners of blocks in these lines, each line centred."""
    gaps = [LABEL_GAP if _is_linked_within(wiring, line) else GAP for line in lines]
    widest = max(_line_width(line, blocks, gap) for line, gap in zip(lines, gaps, strict=True))
    corners: dict[str, tuple[float, float]] = {}
    y = 0.0
    for line, gap in zip(lines, gaps, strict=True):
        spare = widest - _line_width(line, blocks, gap)
        # Rows of few blocks are spread, so that their links do not all come from one point.
        space = gap + min(spare / (len(line) + 1), 160.0)
        used = sum(blocks[name].size[0] for name in line) + space * (len(line) - 1)
        x = (widest - used) / 2
        tallest = max(blocks[name].size[1] for name in line)
        stand_below = any(blocks[name].is_flipped for name in line)
        for name in line:
            corners[name] = (x, y + (tallest - blocks[name].size[1]) * stand_below)
            x += blocks[name].size[0] + space
        y += tallest + min(TIER_GAP + widest / 20, TIER_GAP_MAX)
    return corners


def _is_linked_within(wiring: Wiring, line: Sequence[str]) -> bool:
    return any(other in line for name in line for other in wiring.neighbors(name))


def _line_width(line: Sequence[str], blocks: Mapping[str, Block], gap: float = GAP) -> float:
    return sum(blocks[name].size[0] for name in line) + gap * (len(line) - 1)


def _wrapped(row: Sequence[str], blocks: Mapping[str, Block]) -> list[list[str]]:
    """Return the row in lines of about the same width, none wider than allowed."""
    count = max(1, math.ceil(_line_width(row, blocks) / ROW_WIDTH_MAX))
    each = math.ceil(len(row) / count)
    return [list(row[at : at + each]) for at in range(0, len(row), each)]


def _ordered(wiring: Wiring, blocks: Mapping[str, Block], depths: Mapping[str, int]) -> list[list[str]]:
    """Return the rows, each ordered by the middle of what it is linked to: few lines cross."""
    walk = list(_walk(wiring, sorted(blocks, key=natural), blocks.keys()))
    rows = [[name for name in walk if depths[name] == depth] for depth in sorted(set(depths.values()))]
    for _ in range(8):
        for turn in (range(len(rows) - 1, -1, -1), range(len(rows))):
            for index in turn:
                place = {
                    name: (at + 0.5) / len(row)
                    for other, row in enumerate(rows)
                    for at, name in enumerate(row)
                    if other != index
                }
                rows[index] = _by_middle(wiring, rows[index], place)
    return rows


def _by_middle(wiring: Wiring, row: Sequence[str], place: Mapping[str, float]) -> list[str]:
    middles: dict[str, float] = {}
    for at, name in enumerate(row):
        found = [place[it] for it in wiring.neighbors(name) if it in place]
        middles[name] = round(sum(found) / len(found), 6) if found else (at + 0.5) / len(row)
    return sorted(row, key=lambda it: (middles[it], natural(it)))
