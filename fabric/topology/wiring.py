"""The underlay as a graph: hosts, switches and routers, and the links between them.

Switches pass frames on (a bridge), routers pass packets on (and speak BGP), hosts are the cluster's nodes and
its control plane. `Wiring.graph` is the same in networkx, for whoever asks for paths, colours or centrality.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from fabric.errors import FabricError
from fabric.topology.document import Path
from fabric.topology.shapes import Shape

Role = Literal["host", "switch", "router"]
ROUTERS_MAX, LINKS_MAX = 500, 5000
"""Of what a file draws or a generator makes; a node's own link does not count."""


class Unwirable(FabricError):
    """The underlay cannot be what the file asks for; each complaint has its path below `spec`."""

    def __init__(self, *complaints: tuple[Path, str]) -> None:
        super().__init__("; ".join(what for _, what in complaints))
        self.complaints = complaints


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the underlay, which is a network namespace."""

    name: str
    role: Role
    asn: int = 0
    """A router's AS number."""
    tier: int = 0
    """How far up it is drawn: hosts 0, leaves 1, spines 2, …"""
    rack: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two devices; `number` tells parallel ones apart, from 1."""

    a: str
    b: str
    shape: Shape = field(default_factory=Shape)
    number: int = 1
    up: bool = True
    """False: the cable is pulled, and both ends are lowered."""

    @property
    def name(self) -> str:
        return f"{self.a}--{self.b}" + (f"--{self.number}" if self.number > 1 else "")

    def other(self, name: str) -> str:
        return self.b if name == self.a else self.a


class Wiring:
    """Devices and links; read-only once made."""

    def __init__(self, devices: Iterable[Device], links: Iterable[Link]) -> None:
        self._devices: dict[str, Device] = {}
        self._links: dict[str, list[Link]] = {}
        for device in devices:
            if device.name in self._devices:
                raise Unwirable((("underlay",), f"a node and a switch or router are called {device.name!r}"))
            self._devices[device.name] = device
            self._links[device.name] = []
        self.links: list[Link] = list(links)
        for link in self.links:
            self._links[link.a].append(link)
            self._links[link.b].append(link)
        order = {name: natural(name) for name in self._devices}
        for name, own in self._links.items():
            own.sort(key=lambda link: (order[link.other(name)], link.number))

    @property
    def devices(self) -> list[Device]:
        return list(self._devices.values())

    def device(self, name: str) -> Device:
        return self._devices[name]

    def __contains__(self, name: str) -> bool:
        return name in self._devices

    def of_role(self, *roles: Role) -> list[Device]:
        return sorted((it for it in self.devices if it.role in roles), key=lambda it: natural(it.name))

    def links_of(self, name: str) -> list[Link]:
        """Return the links of a device, in the order of their far ends."""
        return list(self._links[name])

    def neighbors(self, name: str, *roles: Role) -> list[str]:
        """Return the names of the neighbours of these roles, or of all, in natural order."""
        found = dict.fromkeys(link.other(name) for link in self._links[name])
        return [it for it in found if not roles or self._devices[it].role in roles]

    def components(self, *roles: Role) -> Iterator[list[str]]:
        """Yield what hangs together through devices of these roles only, in natural order."""
        seen: set[str] = set()
        for device in self.of_role(*roles):
            if device.name in seen:
                continue
            piece, ahead = {device.name}, [device.name]
            while ahead:
                near = set(self.neighbors(ahead.pop(), *roles)) - piece
                piece |= near
                ahead += near
            seen |= piece
            yield sorted(piece, key=natural)

    @cached_property
    def graph(self) -> Any:
        """networkx's multigraph: nodes are names with `device`, edges have `link`, keyed by its number."""
        import networkx as nx

        graph = nx.MultiGraph()
        for name, device in self._devices.items():
            graph.add_node(name, device=device)
        for link in self.links:
            graph.add_edge(link.a, link.b, key=link.number, link=link)
        return graph


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key by which node-2 comes before node-10."""
    pieces: list[tuple[int, int | str]] = []
    digits = text = ""
    for character in f"{name}\0":
        is_digit = "0" <= character <= "9"
        if digits and not is_digit:
            pieces.append((0, int(digits)))
            digits = ""
        if is_digit:
            if text:
                pieces.append((1, text))
                text = ""
            digits += character
        else:
            text += character
    return (*pieces, (1, text))


def numbered(
    names: Iterable[str], before: Mapping[str, int], largest: int, *, by_name: bool = True
) -> dict[str, int]:
    """Give every name a number from 1 to `largest`; one that has its number in `before` keeps it.

    With `by_name`, leaf-7 gets 7 where that is free. A name is left out when there are no numbers left.
    """
    wanted = sorted(set(names), key=natural)
    given = {name: before[name] for name in wanted if 0 < before.get(name, 0) <= largest}
    used = set(given.values())
    for name in wanted if by_name else []:
        tail = tail_number(name)
        if name not in given and 0 < tail <= largest and tail not in used:
            given[name] = tail
            used.add(tail)
    free = (number for number in range(1, largest + 1) if number not in used)
    for name in wanted:
        if name not in given and (number := next(free, 0)):
            given[name] = number
    return {name: given[name] for name in wanted if name in given}


def tail_number(name: str) -> int:
    """Return 7 for node-7, and 0 for a name that does not end in a number."""
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if digits and len(digits) < 10 else 0


@dataclass(frozen=True, slots=True)
class Segment:
    """An Ethernet segment: hosts, switches and routers that share a broadcast domain, and one subnet.

    A router that hosts are wired to bridges those ports together (`br0`), as a top-of-rack switch does: they
    are one segment. Switches that hang together are another, with every router wired to them.
    """

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
