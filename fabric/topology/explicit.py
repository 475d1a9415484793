"""A graph as the file draws it: routers, switches and links by name, or routers made by a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fabric.topology.document import Path
from fabric.topology.model import NodeEntry
from fabric.topology.shapes import Shape
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Device, Link, Unwirable, Wiring, tail_number

FIRST_AS = 4_200_000_000
"""The first of the AS numbers for private use (RFC 6996) that need 32 bits."""
_AT: Path = ("underlay",)


def explicit(
    options: Mapping[str, Any], nodes: Sequence[NodeEntry], shapes: Sequence[Shape], plain: Shape
) -> Wiring:
    """Return the graph of `routers`, `switches` and `links`; `shapes` are those of the links, in order.

    `plain` is the shape of a link that the file does not name: the control plane's.
    """
    first = options.get("firstAS", FIRST_AS)
    devices = [Device(node.name, "host") for node in nodes]
    for index, router in enumerate(options.get("routers", ())):
        devices.append(Device(router["name"], "router", router.get("asn", first + index), 2))
    devices += [Device(switch["name"], "switch", tier=1) for switch in options.get("switches", ())]
    names = [it.name for it in devices]
    complaints = list(_same_names(names, options))
    known = {*names, CONTROL_PLANE}
    links: list[Link] = []
    seen: dict[frozenset[str], int] = {}
    for index, (value, shape) in enumerate(zip(options.get("links", ()), shapes, strict=True)):
        at = (*_AT, "links", index)
        a, b = value["between"]
        complaints += [
            ((*at, "between", end), f"no node, router or switch is called {name!r}")
            for end, name in enumerate((a, b))
            if name not in known
        ]
        if a == b:
            complaints.append((at, f"a link from {a} to itself"))
        elif (first_at := seen.setdefault(frozenset((a, b)), index)) != index:
            complaints.append((at, f"a second link between {a} and {b} (first: links[{first_at}])"))
        links.append(Link(a, b, shape))
    if complaints:
        raise Unwirable(*complaints)
    linked = {name for link in links for name in (link.a, link.b)}
    if CONTROL_PLANE in linked:
        return Wiring([Device(CONTROL_PLANE, "host"), *devices], links)
    return _with_control_plane(devices, links, options, plain)


def generated(options: Mapping[str, Any], nodes: Sequence[NodeEntry], host: Shape, core: Shape) -> Wiring:
    """Return the graph of a generator: its vertices are routers, nodes hang on the lowest of them."""
    from fabric.topology.generators import vertices_of

    try:
        edges, tiers = vertices_of(options["generator"], options.get("arguments", {}))
    except LookupError as error:
        raise Unwirable(((*_AT, "generator"), str(error.args[0]))) from None
    except ValueError as error:
        what = f"generator {options['generator']!r}: {error}"
        raise Unwirable(((*_AT, "arguments"), what)) from None
    vertices = list(tiers)
    names = {vertex: f"r{number}" for number, vertex in enumerate(vertices, 1)}
    first = options.get("firstAS", FIRST_AS)
    devices = [Device(names[it], "router", first + index, tiers[it]) for index, it in enumerate(vertices)]
    links = [Link(names[a], names[b], core) for a, b in edges]
    lowest = min(tiers.values())
    edge = [names[it] for it in vertices if tiers[it] == lowest]
    for index, node in enumerate(nodes):
        devices.append(Device(node.name, "host"))
        place = (tail_number(node.name) or index + 1) - 1
        links.append(Link(node.name, edge[place % len(edge)], host))
    return _with_control_plane(devices, links, options, host)


def _with_control_plane(
    devices: list[Device], links: list[Link], options: Mapping[str, Any], shape: Shape
) -> Wiring:
    """Wire the control plane where the file says, or else to the first router, or switch."""
    others = [it.name for it in devices if it.role != "host"]
    asked = options.get("controlPlane")
    if asked is not None and asked not in others:
        raise Unwirable(((*_AT, "controlPlane"), f"no router or switch is called {asked!r}"))
    if not others:
        raise Unwirable((_AT, "there are no routers and no switches"))
    link = Link(CONTROL_PLANE, asked or others[0], shape)
    return Wiring([Device(CONTROL_PLANE, "host"), *devices], [*links, link])


def _same_names(names: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Complain of every router or switch whose name is taken already."""
    taken = set(names[: len(names) - sum(len(options.get(key, ())) for key in ("routers", "switches"))])
    for key in ("routers", "switches"):
        for index, value in enumerate(options.get(key, ())):
            if value["name"] in taken:
                what = f"a second {value['name']!r}; names of nodes, routers and switches must differ"
                yield (*_AT, key, index, "name"), what
            taken.add(value["name"])
