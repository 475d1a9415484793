"""A graph is sound when packets can cross it: it is in one piece, hosts have wires, and no frame loops."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from fabric.errors import plural
from fabric.topology.document import Path
from fabric.topology.schema import DNS_LABEL
from fabric.topology.underlay import CONTROL_PLANE
from fabric.topology.wiring import Device, Wiring, segments

PORTS_MAX = 1023
"""Ports that a Linux bridge takes (BR_MAX_PORTS)."""
NAME_MAX = 63
AS_MAX = 4_294_967_294
AS_TRANS = 23456
_AT: Path = ("underlay",)


def complaints(wiring: Wiring) -> Iterator[tuple[Path, str]]:
    """Yield (path below spec, sentence) for all that is wrong with a graph."""
    for device in wiring.devices:
        yield from _name(device)
        if device.role == "router" and (not 0 < device.asn <= AS_MAX or device.asn == AS_TRANS):
            yield _AT, f"router {device.name} has AS {device.asn}; allowed: 1 to {AS_MAX}, not {AS_TRANS}"
    for host in wiring.of_role("host"):
        yield from _host(wiring, host)
    yield from _pieces(wiring)
    yield from _loops(wiring)
    yield from _routers(wiring)


def _name(device: Device) -> Iterator[tuple[Path, str]]:
    if device.name != CONTROL_PLANE and not (
        re.fullmatch(DNS_LABEL, device.name) and len(device.name) <= NAME_MAX
    ):
        yield _AT, f"{device.role} {device.name!r} is no DNS label (small letters, digits and dashes)"
    if device.role != "host" and device.name == CONTROL_PLANE:
        yield _AT, f"no {device.role} can be called {device.name!r}: fabric has one of its own"


def _host(wiring: Wiring, host: Device) -> Iterator[tuple[Path, str]]:
    links = wiring.links_of(host.name)
    if len(links) != 1:
        ends = ", ".join(link.other(host.name) for link in links) or "nothing"
        yield _AT, f"{host.name} must have one link, and has {len(links)} (to {ends})"
    elif (far := wiring.device(links[0].other(host.name))).role == "host":
        yield _AT, f"{host.name} is linked to {far.name}, a node; nodes are linked to switches and routers"


def _pieces(wiring: Wiring) -> Iterator[tuple[Path, str]]:
    pieces = sorted(wiring.components("host", "switch", "router"), key=len)
    for piece in pieces[:-1]:
        shown = ", ".join(piece[:5]) + (", …" if len(piece) > 5 else "")
        yield _AT, f"the graph is in {len(pieces)} pieces; no link leads from {shown} to the rest"


def _loops(wiring: Wiring) -> Iterator[tuple[Path, str]]:
    """A forest has one link less than devices in each of its trees."""
    switches = {it.name for it in wiring.of_role("switch")}
    links = [it for it in wiring.links if it.a in switches and it.b in switches]
    if len(links) == len(switches) - len(list(wiring.components("switch"))):
        return
    import networkx as nx

    names = ", ".join(edge[0] for edge in nx.find_cycle(wiring.graph.subgraph(switches)))
    yield _AT, f"switches {names} form a loop: frames would go round for ever; leave one link out"


def _routers(wiring: Wiring) -> Iterator[tuple[Path, str]]:
    for link in wiring.links:
        a, b = wiring.device(link.a), wiring.device(link.b)
        if a.role == b.role == "router" and a.asn == b.asn:
            yield _AT, f"routers {a.name} and {b.name} are linked and both have AS {a.asn}; they must differ"
    for segment in segments(wiring):
        for one, other in combinations(segment.routers, 2):
            if wiring.device(one).asn == wiring.device(other).asn:
                yield _AT, f"routers {one} and {other} share the switches of {segment.name} and an AS"
        ports = Counter(it for switch in segment.switches for it in wiring.neighbors(switch, "router"))
        for router in (name for name, count in ports.items() if count > 1):
            yield (
                _AT,
                f"router {router} is linked twice to the switches of {segment.name}; one link is enough",
            )
    for device in wiring.of_role("switch", "router"):
        bridged = ("host", "switch", "router") if device.role == "switch" else ("host",)
        if (count := len(wiring.neighbors(device.name, *bridged))) > PORTS_MAX:
            yield _AT, f"{device.name} would bridge {plural(count, 'link')}; Linux allows {PORTS_MAX}"
