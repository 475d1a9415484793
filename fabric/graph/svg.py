"""A picture as SVG: blocks of hosts below their switch or router, links, BGP sessions dashed, and a legend.

What most links of a kind do stands in the legend, and only what differs beside a link. Where there are too
many sessions to tell them apart, those that are down are drawn and the others counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import dist

from fabric.graph import shapes
from fabric.graph.blocks import LINE, Box, device_lines, host_lines, pod_lines
from fabric.graph.cables import Cable, Point
from fabric.graph.layout import MARGIN, Layout, layout
from fabric.graph.picture import Peering, Picture
from fabric.graph.sessions import Lines
from fabric.topology.addressing import port_name
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Link, natural

PLAIN, CORE, BROKEN, SESSION = "#9ca3af", "#111827", "#dc2626", "#2563eb"
FILLS = {"host": "#dbeafe", "control plane": "#ede9fe", "switch": "#e5e7eb", "router": "#fde68a"}
REFLECTOR = "route reflector"
ROLES = {"host": "node", "switch": "switch", "router": "router"}
SESSIONS_MAX = 60
"""More sessions than these are counted, and only those drawn that are down."""
_LEGEND_LINE = 20.0
_LABEL = 10
_LABEL_WIDTH = 5.9
"""Of a character, in pixels, at that size."""
_PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)
_NEAR_A = (0.2, 0.26, 0.32, 0.16, 0.38, 0.44)
_NEAR_B = tuple(1 - it for it in _NEAR_A)
"""Where on a line a label is tried: of the link, and of the interface at either end."""


@dataclass(slots=True)
class _Sheet:
    """The drawing so far: lines below, boxes above them, labels on top."""

    picture: Picture
    places: Layout
    with_labels: bool
    with_interfaces: bool
    cables: Mapping[str, Cable]
    """Of links between two blocks, by the link's name."""
    common: Mapping[str, str]
    """What most links of each kind do."""
    below: list[str] = field(default_factory=list)
    above: list[str] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    """Where labels stand."""


def svg(picture: Picture, *, addresses: bool = False, interfaces: bool = False) -> str:
    """Return the picture as one SVG document, on request with addresses and the names of interfaces."""
    places = layout(picture, with_labels=addresses)
    legend = list(_legend(picture))
    width, height = _size(places, legend)
    cables = places.obstacles.cables(picture.wiring)
    sheet = _Sheet(picture, places, addresses, interfaces, cables, _common_words(picture))
    for name, frame in places.frames.items():
        sheet.below.append(shapes.rect(frame, "#f9fafb", "#d1d5db", 8))
        _draw_rows(sheet, name)
    for link in sorted(picture.wiring.links, key=lambda it: natural(it.name)):
        _draw_link(sheet, link)
    for peering, line in Lines(places, cables, picture.wiring).of(_drawn_sessions(picture)):
        sheet.below.append(shapes.path(line, SESSION if peering.up else BROKEN, dashed=True))
    for device in sorted(picture.wiring.devices, key=lambda it: natural(it.name)):
        if device.name in places.boxes:
            sheet.below += _device(sheet, device.name)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        *sheet.below,
        *sheet.above,
        *_written_legend(legend, places.height),
        "</svg>",
    ]
    return "".join(f"{line}\n" for line in lines)


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height of the plain drawing in pixels."""
    return _size(layout(picture), list(_legend(picture)))


def _size(places: Layout, legend: Sequence[tuple[str, str]]) -> tuple[float, float]:
    words = max((len(text) for _, text in legend), default=0)
    width = max(places.width, words * 6.5 + 48 + 2 * MARGIN)
    return round(width), round(places.height + len(legend) * _LEGEND_LINE + MARGIN)


def _draw_rows(sheet: _Sheet, name: str) -> None:
    """Draw the wires from a device to its hosts: a trunk at the side, a bus for each row, a drop to each."""
    boxes, rows = sheet.places.boxes, sheet.places.rows[name]
    device, frame = boxes[name], sheet.places.frames[name]
    x = device.middle[0]
    is_flipped = boxes[rows[0][0]].top < device.top
    leaves = device.top if is_flipped else device.top + device.height
    trunk = frame.left + 5
    aside = 14 + sheet.places.room
    levels = [_bus(boxes[row[0]], aside, is_flipped) for row in rows]
    sheet.below.append(shapes.line(x, leaves, x, levels[0], PLAIN))
    if len(rows) > 1:
        sheet.below.append(shapes.line(trunk, levels[0], trunk, levels[-1], PLAIN))
    for row, y in zip(rows, levels, strict=True):
        ends = [boxes[host].middle[0] for host in row]
        first = y == levels[0]
        left = min([*ends, *([x] if first else []), *([trunk] if len(rows) > 1 else [])])
        sheet.below.append(shapes.line(left, y, max([*ends, *([x] if first else [])]), y, PLAIN))
        for host in row:
            _draw_drop(sheet, name, host, y, is_flipped)


def _bus(host: Box, aside: float, is_flipped: bool) -> float:
    return host.top + host.height + aside if is_flipped else host.top - aside


def _draw_drop(sheet: _Sheet, name: str, host: str, y: float, is_flipped: bool) -> None:
    box = sheet.places.boxes[host]
    x = box.middle[0]
    end = box.top + box.height if is_flipped else box.top
    link = next(it for it in sheet.picture.wiring.links_of(host) if it.other(host) == name)
    sheet.below.append(shapes.line(x, y, x, end, PLAIN if link.up else BROKEN, 1 if link.up else 3))
    words = " ".join(filter(None, (_differing(sheet, link), _interfaces(sheet, link, name))))
    if words:
        sheet.above.append(
            shapes.text(x + 4, (y + end) / 2 + 3, words, PLAIN if link.up else BROKEN, "start", 9)
        )


def _draw_link(sheet: _Sheet, link: Link) -> None:
    """Draw a link between two blocks; parallel ones run beside each other."""
    cable = sheet.cables.get(link.name)
    if cable is None:
        return
    colour = _COLOURS[_kind(sheet.picture, link)] if link.up else BROKEN
    sheet.below.append(shapes.path(cable, colour, 1 if link.up else 3))
    if words := _differing(sheet, link):
        _label(sheet, max(pairwise(cable), key=lambda it: dist(*it)), words, colour, _PLACES)
    if sheet.with_interfaces:
        wiring = sheet.picture.wiring
        for name, part, near in ((link.a, cable[:2], _NEAR_A), (link.b, cable[-2:], _NEAR_B)):
            _label(sheet, (part[0], part[1]), port_name(wiring, link, name), "#374151", near)


def _label(sheet: _Sheet, line: tuple[Point, Point], words: str, colour: str, at: Sequence[float]) -> None:
    """Write on a line where nothing else stands: no box and no other label."""
    (x1, y1), (x2, y2) = line
    width, height = len(words) * _LABEL_WIDTH + 4, _LABEL + 4.0
    best: tuple[int, Box] | None = None
    for part in at:
        x, y = x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
        box = Box(x - width / 2, y - height / 2, width, height)
        hits = sum(box.overlaps(it) for it in (*sheet.taken, *sheet.places.boxes.values()))
        if best is None or hits < best[0]:
            best = (hits, box)
        if not hits:
            break
    if best is not None:
        sheet.taken.append(best[1])
        x, y = best[1].middle
        sheet.above.append(shapes.rect(best[1], "white", "none", 3))
        sheet.above.append(shapes.text(x, y + 3.5, words, colour, "middle", _LABEL))


def _drawn_sessions(picture: Picture) -> list[Peering]:
    many = len(picture.peerings) > SESSIONS_MAX
    return [it for it in picture.peerings if not (many and it.up)]


_TO_NODE, _BETWEEN = "link to a node", "link between routers or switches"
_COLOURS = {_TO_NODE: PLAIN, _BETWEEN: CORE}


def _kind(picture: Picture, link: Link) -> str:
    hosts = any(picture.wiring.device(it).role == "host" for it in (link.a, link.b))
    return _TO_NODE if hosts else _BETWEEN


def _by_kind(picture: Picture) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in sorted(picture.wiring.links, key=lambda it: _kind(picture, it), reverse=True):
        found.setdefault(_kind(picture, link), []).append(link)
    return found


def _common_words(picture: Picture) -> dict[str, str]:
    """Return what more than half of the links of each kind do."""
    common: dict[str, str] = {}
    for kind, links in _by_kind(picture).items():
        words, count = Counter(_words(picture, it) for it in links).most_common(1)[0]
        common[kind] = words if 2 * count > len(links) else ""
    return common


def _words(picture: Picture, link: Link) -> str:
    """Return what a link does, whether it is up or down."""
    return picture.words(replace(link, up=True))


def _differing(sheet: _Sheet, link: Link) -> str:
    words = _words(sheet.picture, link)
    differing = "" if words == sheet.common[_kind(sheet.picture, link)] else words or "plain"
    return differing if link.up else f"down {differing}".rstrip()


def _interfaces(sheet: _Sheet, link: Link, *ends: str) -> str:
    wiring = sheet.picture.wiring
    return " ".join(port_name(wiring, link, it) for it in ends) if sheet.with_interfaces else ""


def _device(sheet: _Sheet, name: str) -> Iterator[str]:
    picture, box = sheet.picture, sheet.places.boxes[name]
    device = picture.wiring.device(name)
    fill = FILLS["control plane" if name == CONTROL_PLANE else device.role]
    is_reflector = name in picture.reflectors
    stroke = SESSION if is_reflector else "#374151"
    radius = box.height / 2 if device.role == "router" else 4
    yield shapes.rect(box, fill, stroke, radius, 1 + 2 * is_reflector)
    lines = host_lines if device.role == "host" else device_lines
    texts = lines(picture, name, with_labels=sheet.with_labels)
    pods_from = len(texts) - (len(pod_lines(picture, name)) if device.role == "host" else 0)
    x, y = box.middle
    first = y - (len(texts) - 1) * LINE / 2 + 4
    for index, text in enumerate(texts):
        colour = "#111827" if index == 0 else "#374151" if index < pods_from else "#065f46"
        yield shapes.text(x, first + index * LINE, text, colour, "middle", 11, bold=index == 0)


def _legend(picture: Picture) -> Iterator[tuple[str, str]]:
    """Yield (what is drawn, what it means) for all that occurs."""
    wiring = picture.wiring
    for role, word in ROLES.items():
        if found := wiring.of_role(role):  # type: ignore[arg-type]
            count = sum(1 for it in found if it.name != CONTROL_PLANE)
            yield role, f"{word}: {count}"
            if count < len(found):
                yield "control plane", "control plane"
    if picture.reflectors:
        yield REFLECTOR, f"route reflector, with its cluster id: {len(picture.reflectors)}"
    common = _common_words(picture)
    for kind, links in _by_kind(picture).items():
        yield (
            _COLOURS[kind],
            f"{kind}: {len(links)}" + (f"; {common[kind]} unless said" if common[kind] else ""),
        )
    if pulled := sum(not it.up for it in wiring.links):
        yield BROKEN, f"link that is down: {pulled}"
    sessions = picture.peerings
    up = sum(it.up for it in sessions)
    hidden = ", not drawn" if len(sessions) > SESSIONS_MAX else ""
    if up:
        yield f"{SESSION} dashed", f"BGP session: {up}{hidden}"
    if up < len(sessions):
        yield f"{BROKEN} dashed", f"BGP session that is down: {len(sessions) - up}"


def _written_legend(legend: Sequence[tuple[str, str]], top: float) -> Iterator[str]:
    for index, (what, text) in enumerate(legend):
        y = top + index * _LEGEND_LINE + 10
        if what == REFLECTOR:
            yield shapes.rect(Box(MARGIN, y - 7, 28, 14), FILLS["host"], SESSION, 3, 3)
        elif what in FILLS:
            yield shapes.rect(
                Box(MARGIN, y - 7, 28, 14), FILLS[what], "#374151", 7 if what == "router" else 3
            )
        else:
            colour, _, dashed = what.partition(" ")
            yield shapes.line(MARGIN, y, MARGIN + 28, y, colour, 1, dashed=bool(dashed))
        yield shapes.text(MARGIN + 38, y + 4, text, "#111827", "start", 11)
