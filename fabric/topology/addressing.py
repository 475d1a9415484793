"""Addresses of a graph, computed from names and numbers alone, in either family.

Each segment has a subnet: .1 is its gateway, .2 the control plane, nodes from .11 (`underlay.assign`). Each
link between routers has a /31 (RFC 3021; IPv6: /127), each router a loopback address, which is its router id.
What has a number keeps it (`Numbers`), so that addresses stay when nodes and racks come and go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fabric.errors import plural
from fabric.netstate.objects import IPAddress, IPInterface, IPNetwork
from fabric.topology.document import Path
from fabric.topology.underlay import BRIDGE, CONTROL_PLANE, FIRST_NODE, assign, interface, port
from fabric.topology.wiring import Link, Segment, Wiring, numbered, segments

_GATEWAY, _CONTROL_PLANE, _SECOND_ROUTER = 1, 2, 3
ROUTERS_PER_SEGMENT_MAX = FIRST_NODE - 2
_ROUTER_IDS = ipaddress.IPv4Address("10.0.0.0")
"""Router ids have 32 bits also where addresses have 128: then they count up from here."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges that addresses come from; none of the three may overlap another."""

    hosts: IPNetwork
    host_prefix: int
    """Prefix length of a segment's subnet."""
    links: IPNetwork
    loopbacks: IPNetwork

    def subnet(self, number: int) -> IPNetwork:
        """Return the subnet of the segment with that number: rack 3 of 192.168.0.0/16 has 192.168.3.0/24."""
        index = number % self.subnets
        first = self.hosts[index << (self.hosts.max_prefixlen - self.host_prefix)]
        return ipaddress.ip_network(f"{first}/{self.host_prefix}")

    @property
    def subnets(self) -> int:
        return 1 << max(0, self.host_prefix - self.hosts.prefixlen)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of hosts, links and segments; they are kept from one run to the next."""

    segments: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)
    routers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Every address of the underlay."""

    numbers: Numbers
    subnets: Mapping[str, IPNetwork]
    """By segment."""
    gateways: Mapping[str, IPAddress]
    """By host."""
    hosts: Mapping[str, IPInterface]
    """The address of each host's eth0, the control plane's too."""
    ports: Mapping[tuple[str, str], IPInterface]
    """By router (or switch) and its device."""
    loopbacks: Mapping[str, IPInterface]
    router_ids: Mapping[str, ipaddress.IPv4Address]


def addresses(wiring: Wiring, ranges: Ranges, taken: Mapping[str, IPInterface], before: Numbers) -> Addresses:
    """Give everything an address; hosts in `taken` keep theirs where their subnet still has it.

    What does not fit is left out: `problems` says what that is.
    """
    found = segments(wiring)
    numbers = Numbers(
        numbered((it.name for it in found), before.segments, ranges.subnets),
        numbered(
            (it.name for it in routed(wiring)), before.links, ranges.links.num_addresses // 2, by_name=False
        ),
        numbered(
            (it.name for it in wiring.of_role("router")),
            before.routers,
            ranges.loopbacks.num_addresses - 1,
            by_name=False,
        ),
    )
    found = [it for it in found if it.name in numbers.segments]
    subnets = {it.name: ranges.subnet(numbers.segments[it.name]) for it in found}
    ports = dict(_link_ports(wiring, ranges.links, numbers.links))
    hosts: dict[str, IPInterface] = {}
    gateways: dict[str, IPAddress] = {}
    for segment in found:
        subnet = subnets[segment.name]
        hosts |= _hosts(segment, subnet, taken)
        ports |= _segment_ports(wiring, segment, subnet)
        gateways |= dict.fromkeys(segment.hosts, subnet[_GATEWAY])
    loopbacks = {
        name: interface(ranges.loopbacks, number, ranges.loopbacks.max_prefixlen)
        for name, number in numbers.routers.items()
    }
    ids = {name: _router_id(loopbacks[name].ip, number) for name, number in numbers.routers.items()}
    return Addresses(numbers, subnets, gateways, hosts, ports, loopbacks, ids)


def problems(wiring: Wiring, ranges: Ranges) -> Iterator[tuple[Path, str]]:
    """Yield (path below spec, sentence) for every range that is too small for the graph."""
    found = segments(wiring)
    if len(found) > ranges.subnets:
        at, room = ("underlay", "subnetPrefix"), ranges.subnets
        subnets = f"{plural(room, 'subnet')} of /{ranges.host_prefix}"
        what = f"{ranges.hosts} has room for {subnets}; needed: {len(found)}"
        yield at, what
    room = max(0, (1 << (ranges.hosts.max_prefixlen - ranges.host_prefix)) - FIRST_NODE - 1)
    key = "subnet" if ranges.host_prefix == ranges.hosts.prefixlen else "subnetPrefix"
    for segment in found:
        nodes = len([host for host in segment.hosts if host != CONTROL_PLANE])
        if nodes > room:
            what = f"/{ranges.host_prefix} has room for {plural(room, 'node')}; {segment.name} has {nodes}"
            yield ("underlay", key), what
        if len(segment.routers) > ROUTERS_PER_SEGMENT_MAX:
            what = f"{len(segment.routers)} routers on the switches of {segment.name}"
            yield ("underlay",), f"{what}; allowed: {ROUTERS_PER_SEGMENT_MAX}"
    pairs, routers = len(list(routed(wiring))), len(wiring.of_role("router"))
    if 2 * pairs > ranges.links.num_addresses:
        there = plural(ranges.links.num_addresses, "address")
        what = f"{ranges.links} has {there}; {plural(pairs, 'link')} between routers: {2 * pairs} needed"
        yield ("underlay", "linkSubnet"), what
    if routers > ranges.loopbacks.num_addresses - 1:
        room = ranges.loopbacks.num_addresses - 1
        yield (
            ("underlay", "loopbackSubnet"),
            f"{ranges.loopbacks} has room for {plural(room, 'router')}, not {routers}",
        )


def routed(wiring: Wiring) -> Iterator[Link]:
    """Yield the links between two routers."""
    for link in wiring.links:
        if wiring.device(link.a).role == wiring.device(link.b).role == "router":
            yield link


def port_name(wiring: Wiring, link: Link, here: str) -> str:
    """Return the name of `here`'s end of a link: eth0 at a host, else called after the far end."""
    if wiring.device(here).role == "host":
        return "eth0"
    far = link.other(here)
    return port(f"{far}-{link.number}" if link.number > 1 else far)


def _hosts(segment: Segment, subnet: IPNetwork, taken: Mapping[str, IPInterface]) -> dict[str, IPInterface]:
    nodes = [host for host in segment.hosts if host != CONTROL_PLANE]
    given = assign(subnet, nodes, taken)
    if CONTROL_PLANE in segment.hosts:
        given[CONTROL_PLANE] = interface(subnet, _CONTROL_PLANE, subnet.prefixlen)
    return given


def _segment_ports(wiring: Wiring, segment: Segment, subnet: IPNetwork) -> dict[tuple[str, str], IPInterface]:
    """Return the addresses of what routes for a segment; of its first switch's bridge if nothing does."""
    gateway = interface(subnet, _GATEWAY, subnet.prefixlen)
    if not segment.switches or not segment.routers:
        return {(segment.name, BRIDGE): gateway}
    found: dict[tuple[str, str], IPInterface] = {}
    offsets = (_GATEWAY, *range(_SECOND_ROUTER, FIRST_NODE))
    for router, offset in zip(segment.routers, offsets, strict=False):
        link = next(it for it in wiring.links_of(router) if it.other(router) in segment.switches)
        found[router, port_name(wiring, link, router)] = interface(subnet, offset, subnet.prefixlen)
    return found


def _link_ports(
    wiring: Wiring, network: IPNetwork, numbers: Mapping[str, int]
) -> Iterator[tuple[tuple[str, str], IPInterface]]:
    prefix = network.max_prefixlen - 1
    for link in routed(wiring):
        if (number := numbers.get(link.name)) is not None:
            for index, end in enumerate((link.a, link.b)):
                yield (
                    (end, port_name(wiring, link, end)),
                    interface(network, 2 * (number - 1) + index, prefix),
                )


def _router_id(loopback: IPAddress, number: int) -> ipaddress.IPv4Address:
    return loopback if isinstance(loopback, ipaddress.IPv4Address) else _ROUTER_IDS + number
