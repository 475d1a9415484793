"""A graph as SVG: tiers from the top down, pods below their nodes, BGP sessions dashed.

Places are computed, not found by chance, so that the same graph is the same file: a device stands above the
middle of those that hang on it, at least one box from its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from fabric.topology.drawing import Picture
from fabric.topology.wiring import Device, Wiring, natural

_BOX, _HEIGHT, _GAP = 132, 40, 20
_TIER, _POD = 120, 20
_MARGIN = 24
_LANE, _BESIDE = 8.0, 24.0
"""How far parallel links, and a session from its link, are bent aside."""
_PLAIN, _BROKEN, _SESSION = "#6b7280", "#dc2626", "#2563eb"
_FILLS = {"host": "#dbeafe", "switch": "#e5e7eb", "router": "#fde68a"}
Place = tuple[float, float]


def layout(wiring: Wiring) -> dict[str, Place]:
    """Return the middle of every device's box in pixels, the highest tier on top."""
    rows = _rows(wiring)
    places: dict[str, Place] = {}
    wanted: dict[str, float] = {}
    for level, row in enumerate(reversed(rows)):
        y = _MARGIN + _HEIGHT / 2 + (len(rows) - 1 - level) * _TIER
        for index, name in enumerate(row):
            below = [places[it][0] for it in wiring.neighbors(name) if it in places]
            wanted[name] = sum(below) / len(below) if below else index * float(_BOX + _GAP)
        right = float("-inf")
        for name in sorted(row, key=lambda it: (wanted[it], natural(it))):
            right = max(wanted[name], right + _BOX + _GAP)
            places[name] = (right, y)
        aside = sum(places[name][0] - wanted[name] for name in row) / len(row)
        places |= {name: (places[name][0] - aside, y) for name in row}
    left = min((x for x, _ in places.values()), default=0.0) - _MARGIN - _BOX / 2
    return {name: (round(x - left, 1), y) for name, (x, y) in places.items()}


def svg(picture: Picture) -> str:
    """Return the picture as one SVG document."""
    wiring, places = picture.wiring, layout(picture.wiring)
    width, height = _size(picture, places)
    top = _top(picture, places)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 {top:g} {width:g} {height:g}" font-family="sans-serif" font-size="12">',
        f'<rect y="{top:g}" width="{width:g}" height="{height:g}" fill="white"/>',
        *_links(picture, places),
        *_peerings(picture, places),
        *_words(picture, places),
        *(it for device in wiring.devices for it in _device(picture, device, places[device.name])),
        "</svg>",
    ]
    return "".join(f"{line}\n" for line in lines)


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height of the drawing in pixels."""
    return _size(picture, layout(picture.wiring))


def _size(picture: Picture, places: Mapping[str, Place]) -> tuple[float, float]:
    pods = max((len(it) for it in picture.pods.values()), default=0)
    width = max(x for x, _ in places.values()) + _BOX / 2 + _MARGIN
    bottom = max(y for _, y in places.values()) + _HEIGHT / 2 + pods * _POD + _MARGIN
    return width, bottom - _top(picture, places)


def _top(picture: Picture, places: Mapping[str, Place]) -> float:
    """Return where the drawing begins: at 0, or above it where a curve bows over the highest row."""
    ends = [(it.a, it.b) for it in picture.wiring.links] + [(it.a, it.b) for it in picture.peerings]
    curves = [(*places[a], *places[b]) for a, b in ends if a in places and b in places]
    return min([0.0, *(_middle(*it, _BESIDE)[1] - _MARGIN for it in curves)])


def _rows(wiring: Wiring) -> list[list[str]]:
    """Return the devices by tier, highest first; in a row, what hangs together stands together."""
    tiers = sorted({it.tier for it in wiring.devices}, reverse=True)
    order = {name: index for index, name in enumerate(_walk(wiring))}
    return [sorted((it.name for it in wiring.devices if it.tier == tier), key=order.__getitem__)
            for tier in tiers]  # fmt: skip


def _walk(wiring: Wiring) -> Iterator[str]:
    """Yield every device, each leaf's hosts one after the other."""
    inner = sorted(wiring.of_role("switch", "router"), key=lambda it: (it.tier, natural(it.name)))
    seen: set[str] = set()
    for device in inner:
        for name in (device.name, *wiring.neighbors(device.name, "host")):
            if name not in seen:
                seen.add(name)
                yield name
    yield from (it.name for it in wiring.devices if it.name not in seen)


def _links(picture: Picture, places: Mapping[str, Place]) -> Iterator[str]:
    for link in sorted(picture.wiring.links, key=lambda it: natural(it.name)):
        (x1, y1), (x2, y2) = places[link.a], places[link.b]
        bend = _bend(x1, y1, x2, y2, _LANE * (link.number - 1))
        colour = _PLAIN if link.up else _BROKEN
        yield f'<path d="{bend}" fill="none" stroke="{colour}"/>'


def _words(picture: Picture, places: Mapping[str, Place]) -> Iterator[str]:
    """Yield what links do, over all lines."""
    for link in sorted(picture.wiring.links, key=lambda it: natural(it.name)):
        if words := picture.words(link):
            x, y = _middle(*places[link.a], *places[link.b], _LANE * (link.number - 1))
            colour = _PLAIN if link.up else _BROKEN
            yield (
                f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-size="10" fill="{colour}" '
                f'stroke="white" stroke-width="4" paint-order="stroke">{escape(words)}</text>'
            )


def _peerings(picture: Picture, places: Mapping[str, Place]) -> Iterator[str]:
    for it in picture.peerings:
        if it.a in places and it.b in places:
            bend = _bend(*places[it.a], *places[it.b], _BESIDE)
            colour = _SESSION if it.up else _BROKEN
            yield f'<path d="{bend}" fill="none" stroke="{colour}" stroke-dasharray="5 4"/>'


def _control(x1: float, y1: float, x2: float, y2: float, aside: float) -> Place:
    """Return the point that pulls a curve: beside its middle, or above a row, the higher the wider it is."""
    if y1 == y2:
        return (x1 + x2) / 2, y1 - min(_TIER, _HEIGHT + abs(x2 - x1) / 6) - aside
    return (x1 + x2) / 2 + aside, (y1 + y2) / 2


def _bend(x1: float, y1: float, x2: float, y2: float, aside: float) -> str:
    """Return a curve between two places."""
    x, y = _control(x1, y1, x2, y2, aside)
    return f"M{x1:g} {y1:g} Q{x:g} {y:g} {x2:g} {y2:g}"


def _middle(x1: float, y1: float, x2: float, y2: float, aside: float) -> Place:
    """Return the middle of that curve."""
    x, y = _control(x1, y1, x2, y2, aside)
    return round((x1 + 2 * x + x2) / 4, 1), round((y1 + 2 * y + y2) / 4, 1)


def _device(picture: Picture, device: Device, place: Place) -> Iterator[str]:
    x, y = place
    round_ = _HEIGHT / 2 if device.role == "router" else 4
    yield (
        f'<rect x="{x - _BOX / 2:g}" y="{y - _HEIGHT / 2:g}" width="{_BOX}" height="{_HEIGHT}"'
        f' rx="{round_:g}" fill="{_FILLS[device.role]}" stroke="#374151"/>'
    )
    second = f"AS {device.asn}" if device.asn else picture.labels.get(device.name, "")
    for index, text in enumerate(filter(None, (device.name, second))):
        line = y + (4 if not second else -3 + 15 * index)
        weight = "" if index else ' font-weight="bold"'
        yield f'<text x="{x:g}" y="{line:g}" text-anchor="middle"{weight}>{escape(text)}</text>'
    for index, pod in enumerate(sorted(picture.pods.get(device.name, ()), key=natural), 1):
        line = y + _HEIGHT / 2 + index * _POD - 5
        yield f'<text x="{x:g}" y="{line:g}" text-anchor="middle" fill="#065f46">{escape(pod)}</text>'
