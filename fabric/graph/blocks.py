"""A block is a switch or router with its hosts in rows below it: a rack. Pure, in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fabric.graph.picture import Picture
from fabric.topology.wiring import Wiring, natural

DEVICE_WIDTH_MIN = 96.0
LINE, CHARACTER = 14.0, 6.7
"""Height of a line of text, and width of a character, at the size that devices are written in."""
FRAME, CELL_GAP, BUS = 12.0, 12.0, 22.0
"""Inner margin of a block; space between hosts; height of the wire above each row of hosts."""
POD_NAMES_MAX = 4
"""A node with more pods has their number only."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    def moved(self, x: float, y: float) -> Box:
        return replace(self, left=self.left + x, top=self.top + y)

    def overlaps(self, other: Box) -> bool:
        across = self.left < other.left + other.width and other.left < self.left + self.width
        return across and self.top < other.top + other.height and other.top < self.top + self.height


@dataclass(frozen=True, slots=True)
class Block:
    """A switch or router with its hosts; boxes are relative to the block's top left corner."""

    device: str
    hosts: tuple[tuple[str, ...], ...]
    """Rows of hosts."""
    boxes: Mapping[str, Box]
    size: tuple[float, float]

    @property
    def is_flipped(self) -> bool:
        """True where the hosts stand above the device."""
        return any(self.boxes[it].top < self.boxes[self.device].top for row in self.hosts for it in row)

    def flipped(self) -> Block:
        """Return the block with its device at the bottom and its hosts above."""
        height = self.size[1]
        boxes = {name: replace(it, top=height - it.top - it.height) for name, it in self.boxes.items()}
        return replace(self, boxes=boxes)


def hosts_of(wiring: Wiring) -> dict[str, list[str]]:
    """Return the hosts drawn with each switch and router: each with the first that it is linked to."""
    found: dict[str, list[str]] = {it.name: [] for it in wiring.of_role("switch", "router")}
    for host in wiring.of_role("host"):
        near = wiring.neighbors(host.name, "switch", "router")
        if near:
            found[near[0]].append(host.name)
        else:
            found[host.name] = []
    return found


def pod_lines(picture: Picture, node: str) -> list[str]:
    """Return what is written of a node's pods: their names, or their number where they are many."""
    pods = sorted(picture.pods.get(node, ()), key=natural)
    return pods if len(pods) <= POD_NAMES_MAX else [f"{len(pods)} pods"]


def device_lines(picture: Picture, name: str, *, with_labels: bool) -> list[str]:
    """Return what is written into a device's box: its name, AS number, cluster id, on request its address."""
    device = picture.wiring.device(name)
    label = picture.labels.get(name, "") if with_labels else ""
    reflector = f"reflector {picture.reflectors[name]}" if name in picture.reflectors else ""
    return list(filter(None, (name, f"AS {device.asn}" if device.asn else "", reflector, label)))


def host_lines(picture: Picture, name: str, *, with_labels: bool) -> list[str]:
    """Return the same of a host, with its pods."""
    return [*device_lines(picture, name, with_labels=with_labels), *pod_lines(picture, name)]


def largest(texts: Iterable[Sequence[str]]) -> tuple[float, float]:
    """Return the size of a box in which each of the texts has room."""
    found = list(texts)
    longest = max((len(line) for lines in found for line in lines), default=8)
    return max(DEVICE_WIDTH_MIN, longest * CHARACTER + 16), max(map(len, found), default=1) * LINE + 12


def block(
    device: str,
    hosts: Sequence[str],
    columns: int,
    own: tuple[float, float],
    cell: tuple[float, float],
    room: float = 0.0,
) -> Block:
    """Return the block with so many hosts in a row, and so much more room around each than usual."""
    if not hosts:
        return Block(device, (), {device: Box(0.0, 0.0, *own)}, own)
    rows = [tuple(hosts[at : at + columns]) for at in range(0, len(hosts), columns)]
    widest = max(map(len, rows))
    gap = CELL_GAP + room
    inner = _row_width(widest, cell[0], gap)
    width = max(inner, own[0]) + 2 * FRAME
    boxes = {device: Box((width - own[0]) / 2, FRAME, *own)}
    top = FRAME + own[1]
    for row in rows:
        top += BUS + room
        left = (width - inner) / 2 if len(rows) > 1 else (width - _row_width(len(row), cell[0], gap)) / 2
        for index, host in enumerate(row):
            boxes[host] = Box(left + index * (cell[0] + gap), top, *cell)
        top += cell[1]
    return Block(device, tuple(rows), boxes, (width, top + FRAME))


def _row_width(count: int, each: float, gap: float) -> float:
    return count * each + (count - 1) * gap
