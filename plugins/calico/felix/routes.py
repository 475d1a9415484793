"""Felix's routes to the blocks of other nodes, and what keeps packets for nobody from going in circles.

A block of another node is reached through a tunnel or through the node itself, as its pool says. An address
that another node has than the block's own (a borrowed one) gets a route of its own, which is longer and wins.
A block of this node is a blackhole: the pods in it have longer routes, and what has no pod ends here. Blocks
of pools that VXLAN does not carry are BIRD's, unless Felix is told to write the routes of IPIP too.

Routes through VXLAN have deviceRouteProtocol (boot, as by hand), as those of pods have; the others have 80.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calico import encapsulation
from calico.encapsulation import TUNL0
from calico.endpoints import RTPROT_BOOT
from calico.felix import tunnels
from calico.felix.site import Site, node_address, vtep_address
from calico.places import Place
from calico.resources.felix import FelixConfigurationSpec
from calico.resources.nodes import Node
from fabric.netstate.objects import Family, IPNetwork, NetState, Route

ROUTE_PROTOCOL = 80


def block_state(site: Site, place: Place, nodes: Mapping[str, Node]) -> NetState:
    """The routes of one block on this node; none where the node is not of the block's family.

    None where routeSyncDisabled says that routes are not Felix's business.
    """
    if site.felix.route_sync_disabled:
        return frozenset()
    pool = encapsulation.pool_of(site.pools, place.cidr)
    family: Family = 4 if place.cidr.version == 4 else 6
    if pool is None or site.address(family) is None or not encapsulation.is_felix_s(pool, site.felix):
        return frozenset()
    return frozenset((*_whole(site, place, nodes), *_borrowed(site, place, nodes)))


def _whole(site: Site, place: Place, nodes: Mapping[str, Node]) -> Iterator[Route]:
    if place.host == site.name:
        if place.cidr.prefixlen < place.cidr.max_prefixlen:
            yield Route(place.cidr, type="blackhole", proto=protocol(site.felix))
    elif place.host in nodes:
        yield from _to(site, place.cidr, nodes[place.host])


def _borrowed(site: Site, place: Place, nodes: Mapping[str, Node]) -> Iterator[Route]:
    for address, holder in place.borrowed:
        if holder != site.name and holder in nodes:
            yield from _to(site, address, nodes[holder])


def _to(site: Site, dst: IPNetwork, peer: Node) -> Iterator[Route]:
    """The route to what a peer has; none while the peer's addresses are not known."""
    family: Family = 4 if dst.version == 4 else 6
    pool = encapsulation.pool_of(site.pools, dst)
    own, there = site.address(family), node_address(peer, family)
    if pool is None or own is None or there is None:
        return
    match encapsulation.way(pool, own, there.ip):
        case "ipip":
            if site.wants_ipip:
                yield Route(dst, via=there.ip, dev=TUNL0, onlink=True, proto=protocol(site.felix))
        case "vxlan":
            vtep = vtep_address(peer, family)
            if vtep is not None and site.wants_vxlan(family):
                device, proto = tunnels.device(family), site.felix.device_route_protocol or RTPROT_BOOT
                yield Route(dst, via=vtep, dev=device, onlink=True, proto=proto, src=site.source(family))
        case "bare":
            yield Route(dst, via=there.ip, dev=site.facts.device, onlink=True, proto=protocol(site.felix))


def protocol(felix: FelixConfigurationSpec) -> int:
    """The protocol of routes over other devices than VXLAN's: 80, or deviceRouteProtocol if given."""
    given = felix.device_route_protocol or RTPROT_BOOT
    return ROUTE_PROTOCOL if given == RTPROT_BOOT else given
