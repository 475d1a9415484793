"""The places of a block's addresses: all on the block's node, but for those that other nodes borrowed.

That is all that routes follow from. A block changes with each pod that comes or goes; its place seldom does,
so that a pod costs other nodes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from calico.ipam.blocks import Block
from calico.resources.nodes import Node
from fabric.netstate.objects import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class Place:
    """The nodes of a block's addresses."""

    cidr: IPNetwork
    host: str
    """The block's node; empty when it is no node's."""
    borrowed: tuple[tuple[IPNetwork, str], ...] = ()
    """Each address that is on another node than `host`, as a network of one, and that node."""
    nodes: frozenset[str] = frozenset()
    """All nodes that are named here."""

    @classmethod
    def at(cls, address: IPAddress, node: str) -> Place:
        """The place of one address."""
        return cls(ip_network(address), node, (), frozenset({node}))

    @classmethod
    def of(cls, block: Block) -> Place:
        borrowed = tuple(
            (ip_network(block.address(ordinal)), holder)
            for ordinal, owner in block.allocated()
            if (holder := owner.attributes.get("node", "")) and holder != block.host
        )
        nodes = {block.host, *(holder for _, holder in borrowed)} - {""}
        return cls(block.cidr, block.host, borrowed, frozenset(nodes))


def vteps(node: Node) -> tuple[Place, ...]:
    """The places of the addresses of a node's VXLAN devices, from which it speaks to pods elsewhere."""
    spec = node.spec
    found = (spec.ipv4_vxlan_tunnel_addr, spec.ipv6_vxlan_tunnel_addr)
    return tuple(Place.at(address, node.name) for address in found if address is not None)
