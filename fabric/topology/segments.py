"""The Ethernet segments of a graph: hosts, switches and routers that share a broadcast domain.

A router that hosts are wired to bridges those ports together (`br0`), as a top-of-rack switch does: they are
one segment. Switches that hang together are another, with every router wired to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.topology.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Segment:
    """An Ethernet segment, which has one subnet."""

    name: str
    """Of its first switch, or of the router that bridges it."""
    hosts: tuple[str, ...]
    switches: tuple[str, ...]
    routers: tuple[str, ...]


def segments(wiring: Wiring) -> list[Segment]:
    """Return all segments, in natural order of their names; routers by themselves first."""
    own = [
        Segment(it.name, tuple(wiring.neighbors(it.name, "host")), (), (it.name,))
        for it in wiring.of_role("router")
        if it.rack or wiring.neighbors(it.name, "host")
    ]
    return own + [_switched(wiring, names) for names in wiring.components("switch")]


def _switched(wiring: Wiring, switches: list[str]) -> Segment:
    hosts = [host for switch in switches for host in wiring.neighbors(switch, "host")]
    routers = {router: None for switch in switches for router in wiring.neighbors(switch, "router")}
    return Segment(switches[0], tuple(hosts), tuple(switches), tuple(routers))
