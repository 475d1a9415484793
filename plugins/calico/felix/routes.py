"""Routes to the blocks of other nodes, and what keeps packets for nobody from going in circles.

A block of another node is reached through a tunnel or through the node itself, as its pool says. An address
that another node has than the block's own (a borrowed one) gets a route of its own, which is longer and wins.
A block of this node is a blackhole: the pods in it have longer routes, and what has no pod ends here. Blocks
of pools that nothing encapsulates are BIRD's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from calico import encapsulation
from calico.encapsulation import TUNL0
from calico.felix import tunnels
from calico.felix.site import Site, node_address, vtep_address
from calico.ipam.blocks import Block
from calico.resources.nodes import Node
from fabric.netstate.objects import Family, IPNetwork, NetState, Route


def block_state(site: Site, block: Block, nodes: Mapping[str, Node]) -> NetState:
    """The routes of one block on this node."""
    pool = encapsulation.pool_of(site.pools, block.cidr)
    if pool is None or not encapsulation.is_felix_s(pool, site.felix):
        return frozenset()
    return frozenset((*_whole(site, block, nodes), *_borrowed(site, block, nodes)))


def needed(block: Block, nodes: Mapping[str, Node]) -> frozenset[str]:
    """The nodes that a block's routes lead to."""
    return frozenset({block.host, *(holder for _, holder in borrowers(block))} & nodes.keys())


def borrowers(block: Block) -> Iterator[tuple[IPNetwork, str]]:
    """Each address that is on another node than the block's, as a network of one."""
    for ordinal, owner in block.allocated():
        holder = owner.attributes.get("node", "")
        if holder and holder != block.host:
            yield ip_network(block.address(ordinal)), holder


def _whole(site: Site, block: Block, nodes: Mapping[str, Node]) -> Iterator[Route]:
    if block.host == site.name:
        if block.cidr.prefixlen < block.cidr.max_prefixlen:
            yield Route(block.cidr, type="blackhole", proto=_protocol(site))
    elif block.host in nodes:
        yield from _to(site, block.cidr, nodes[block.host])


def _borrowed(site: Site, block: Block, nodes: Mapping[str, Node]) -> Iterator[Route]:
    for address, holder in borrowers(block):
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
                yield Route(dst, via=there.ip, dev=TUNL0, onlink=True, proto=_protocol(site))
        case "vxlan":
            vtep = vtep_address(peer, family)
            if vtep is not None and site.wants_vxlan(family):
                device = tunnels.device(family)
                yield Route(dst, via=vtep, dev=device, onlink=True, proto=_protocol(site))
        case "bare":
            yield Route(dst, via=there.ip, dev=site.facts.device, proto=_protocol(site))


def _protocol(site: Site) -> int:
    return site.felix.device_route_protocol or 80
