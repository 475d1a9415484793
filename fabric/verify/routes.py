"""The routes of a host: who wrote each, the session BIRD has it from, and what else BIRD could have taken.

The kernel's main table says what packets do; the number that each writer leaves in a route says who wrote it.
A route of BIRD's has a story of its own, which the daemon tells: where it came from, and which routes to the
same network lost against it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from fabric.bird.routes import BirdRoute
from fabric.cluster import runtimes
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.spec import ClusterSpec
from fabric.errors import FabricError
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.routes import main_table
from fabric.netstate.objects import Address as OwnAddress
from fabric.netstate.objects import IPAddress, IPNetwork, NextHop, Route
from fabric.netstate.port import Owner
from fabric.verify import birds
from fabric.verify.bird_choice import EQUAL, why_lost

BIRD_S = 12
WRITERS: Mapping[int, str] = {
    2: "kernel",
    3: "boot",
    4: "static",
    9: "router advertisement",
    BIRD_S: "bird",
    16: "dhcp",
    80: "felix",
}
"""rtm_protocol, as /etc/iproute2/rt_protos has it; 3 is what a tool writes that says nothing, 80 Calico's."""
_DEVICES: Mapping[str, str] = {
    "vxlan.calico": "felix",
    "vxlan-v6.calico": "felix",
    "flannel.1": "flanneld",
    "flannel-v6.1": "flanneld",
}
"""Devices of the plugins, and who writes routes through them without saying so."""
_TABLES = ("master4", "master6")


@dataclass(frozen=True, slots=True)
class Offer:
    """A route of BIRD's table."""

    session: str
    """The protocol that has it: a BGP session, `static1`, `kernel1` …"""
    peer: str
    """The host at the session's other end, or empty."""
    next_hop: str
    as_path: tuple[int, ...]
    ways: frozenset[IPAddress]
    """The gateways that its next hop comes to."""
    reason: str = ""
    """Why it is not taken; "" for the best one, and for those that went into one route with it (ECMP)."""

    @property
    def is_taken(self) -> bool:
        return not self.reason

    @property
    def who(self) -> str:
        return f"{self.session} ({self.peer})" if self.peer not in ("", self.session) else self.session


@dataclass(frozen=True, slots=True)
class Line:
    """A route of the kernel's table."""

    route: Route
    offers: tuple[Offer, ...] = ()
    """BIRD's routes to the same network, the taken ones first; also where somebody else wrote the route."""

    @property
    def written_by(self) -> str:
        """Return the writer: by protocol; where that says nothing, by a device that one plugin writes to."""
        writer = WRITERS.get(self.route.proto, f"protocol {self.route.proto}")
        device = self.route.dev or ""
        if writer == "boot" and self.route.via is None and device.startswith("cali"):
            return "felix"
        return _DEVICES.get(device, writer) if writer == "boot" else writer

    @property
    def taken(self) -> tuple[Offer, ...]:
        """Return the routes of BIRD that a kernel's route was made of; none where BIRD did not write it."""
        return tuple(it for it in self.offers if it.is_taken and self.route.proto == BIRD_S)

    @property
    def next_hops(self) -> tuple[NextHop, ...]:
        if self.route.next_hops or self.route.type != "unicast":
            return self.route.next_hops
        return (NextHop(self.route.via, self.route.dev or "", 1, self.route.onlink),)

    def as_json(self) -> dict[str, Any]:
        route = self.route
        return {
            "destination": str(route.dst),
            "type": route.type,
            "nextHops": [
                {"via": str(it.via) if it.via else None, "device": it.dev, "onlink": it.onlink}
                for it in self.next_hops
            ],
            "metric": route.metric,
            "protocol": route.proto,
            "writtenBy": self.written_by,
            "bird": [
                {
                    "session": it.session,
                    "peer": it.peer,
                    "nextHop": it.next_hop,
                    "asPath": list(it.as_path),
                    "taken": it.is_taken,
                    "reason": it.reason,
                }
                for it in self.offers
            ],
        }


@dataclass(frozen=True, slots=True)
class Table:
    """The main table of one host."""

    lines: tuple[Line, ...]
    own: frozenset[IPAddress]
    """The addresses of the host's devices: packets to them go nowhere."""
    trouble: str = ""
    """Why BIRD's part is missing, where there is a daemon that does not answer."""

    def is_own(self, address: IPAddress) -> bool:
        """Whether the local table keeps packets to it here; of 127.0.0.0/8 that is all, on lo."""
        return address in self.own or address.is_loopback

    def inside(self, network: IPNetwork) -> tuple[Line, ...]:
        """The routes to this network and to networks in it."""
        return tuple(line for line in self.lines if _contains(network, line.route.dst))

    def matching(self, address: IPAddress) -> tuple[Line, ...]:
        """The routes that an address falls under, the one that wins first.

        The longer prefix wins, whoever wrote it; of two with one prefix, the lower metric.
        """
        found = (line for line in self.lines if _holds(line.route.dst, address))
        return tuple(sorted(found, key=lambda line: (-line.route.dst.prefixlen, line.route.metric)))


async def table(paths: ClusterPaths, spec: ClusterSpec, host: str) -> Table:
    """Read a host's routes from its kernel, and their stories from its BIRD, if it has one."""
    pids = await runtimes.host_pids(paths, spec.workers)
    if host not in pids:
        raise FabricError(f"{host} is off: it has no kernel to ask; see fabric status {paths.cluster}")
    try:
        routes = await asyncio.to_thread(main_table, pids[host])
    except OSError as error:
        raise FabricError(f"{host}: its routes cannot be read: {error.strerror}") from error
    offers, trouble = await _offers(paths, spec, host)
    lines = (_line(route, offers.get(route.dst, ())) for route in routes)
    own = await _own_addresses(pids, host)
    return Table(tuple(sorted(lines, key=_order)), own, trouble)


async def _own_addresses(pids: Mapping[str, int], host: str) -> frozenset[IPAddress]:
    kernel = LinuxKernel(pids)
    try:
        owner = Owner("everybody", frozenset({OwnAddress}), lambda obj: True)
        found = await kernel.host(host).read(owner)
    finally:
        kernel.close()
    return frozenset(it.address.ip for it in found if isinstance(it, OwnAddress))


async def _offers(
    paths: ClusterPaths, spec: ClusterSpec, host: str
) -> tuple[Mapping[IPv4Network | IPv6Network, Sequence[Offer]], str]:
    """BIRD's routes by network, and why there are none where that is not so."""
    offers: dict[IPv4Network | IPv6Network, list[BirdRoute]] = {}
    hosts = birds.hosts_by_address(spec)
    peers: dict[str, tuple[str, bool]] = {}
    trouble = ""
    for bird in (it for it in birds.birds(paths, spec) if it.host == host):
        client = bird.client
        try:
            protocols = await client.protocols()
            routes = await client.routes(details=True)
        except FabricError as error:
            trouble = str(error)
            continue
        for protocol in protocols:
            if protocol.bgp is not None:
                name = birds.host_of(protocol.bgp.neighbor_address, hosts)
                peers[protocol.name] = name, protocol.bgp.neighbor_as != protocol.bgp.local_as
        for route in routes:
            if route.table in _TABLES:
                offers.setdefault(route.prefix, []).append(route)
    return {prefix: _compared(found, peers) for prefix, found in offers.items()}, trouble


def _compared(routes: Iterable[BirdRoute], peers: Mapping[str, tuple[str, bool]]) -> list[Offer]:
    """The offers for one network; each that is not taken is compared with the best."""
    found = sorted(routes, key=lambda route: not route.is_best)
    best = found[0]
    offers = []
    for route in found:
        peer, is_external = peers.get(route.protocol, ("", False))
        reason = ""
        if route is not best:
            reason = why_lost(best, route, peers.get(best.protocol, ("", False))[1], is_external)
        next_hop = route.bgp_next_hop or next((it.via for it in route.next_hops if it.via), None)
        offers.append(
            Offer(
                route.protocol,
                peer,
                str(next_hop) if next_hop else route.kind if route.kind != "unicast" else "",
                route.as_path,
                frozenset(it.via for it in route.next_hops if it.via),
                reason,
            )
        )
    return offers


def _line(route: Route, offers: Sequence[Offer]) -> Line:
    """Routes that nothing tells apart are one ECMP route, or BIRD took the one of the lower router id."""
    ways = {it.via for it in route.next_hops} or {route.via}
    return Line(
        route,
        tuple(
            replace(it, reason=EQUAL) if index and it.is_taken and not it.ways & ways else it
            for index, it in enumerate(offers)
        ),
    )


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    same = outer.version == inner.version
    return same and outer.overlaps(inner) and outer.prefixlen <= inner.prefixlen


def _holds(network: IPNetwork, address: IPAddress) -> bool:
    return network.version == address.version and address in network


def _order(line: Line) -> tuple[int, int, int, int]:
    dst = line.route.dst
    return dst.version, int(dst.network_address), dst.prefixlen, line.route.metric
