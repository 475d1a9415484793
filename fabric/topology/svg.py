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
    pods = max((len(it) for it in picture.pods.values()), default=0)
    width = max(x for x, _ in places.values()) + _BOX / 2 + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT / 2 + pods * _POD + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        *_links(wiring, places),
        *_peerings(picture, places),
        *(it for device in wiring.devices for it in _device(picture, device, places[device.name])),
        "</svg>",
    ]
    return "".join(f"{line}\n" for line in lines)


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


def _links(wiring: Wiring, places: Mapping[str, Place]) -> Iterator[str]:
    for link in sorted(wiring.links, key=lambda it: natural(it.name)):
        (x1, y1), (x2, y2) = places[link.a], places[link.b]
        bend = _bend(x1, y1, x2, y2, 6.0 * (link.number - 1))
        yield f'<path d="{bend}" fill="none" stroke="#6b7280"/>'
        if words := str(link.shape):
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            yield f'<text x="{x:g}" y="{y:g}" text-anchor="middle" fill="#6b7280">{escape(words)}</text>'


def _peerings(picture: Picture, places: Mapping[str, Place]) -> Iterator[str]:
    for it in picture.peerings:
        if it.a in places and it.b in places:
            bend = _bend(*places[it.a], *places[it.b], 24.0)
            colour = "#2563eb" if it.up else "#dc2626"
            yield f'<path d="{bend}" fill="none" stroke="{colour}" stroke-dasharray="5 4"/>'


def _bend(x1: float, y1: float, x2: float, y2: float, aside: float) -> str:
    """Return a curve between two places; one within a row bows above it, so as not to cross the boxes."""
    if y1 == y2:
        return f"M{x1:g} {y1:g} Q{(x1 + x2) / 2:g} {y1 - _TIER / 2 - aside:g} {x2:g} {y2:g}"
    return f"M{x1:g} {y1:g} Q{(x1 + x2) / 2 + aside:g} {(y1 + y2) / 2:g} {x2:g} {y2:g}"


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
