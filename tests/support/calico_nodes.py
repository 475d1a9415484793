"""Calico's datastore in small: nodes, pools, blocks and views, named as in all examples."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from calico.felix.site import Site
from calico.felix.tunnels import mac_of
from calico.ipam.blocks import Block, Owner
from calico.places import Place
from calico.resources.felix import DEFAULTS
from calico.resources.nodes import Node, NodeBGP
from calico.resources.pools import IPPool
from calico.syncer import Snapshot
from fabric.plugin.contract import NetworkConfig, NodeFacts

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def config(backend: str = "", *, mtu: int = 0, cidrs: str = "10.244.0.0/16", **options: Any) -> NetworkConfig:
    """A `network` section."""
    return NetworkConfig(tuple(ip_network(cidr) for cidr in cidrs.split()), (), backend, mtu, options)


def facts(number: int, *, rack: int = 0, **labels: str) -> NodeFacts:
    """node-1 has 192.168.0.11/16; in rack 2 of a leaf-spine, 192.168.2.11/24."""
    address = f"192.168.{rack}.{10 + number}/{24 if rack else 16}"
    labels |= {"rack": str(rack)} if rack else {}
    return NodeFacts(f"node-{number}", (ip_interface(address),), "eth0", 1500, labels)


def pool(cidr: str = "10.244.0.0/16", name: str = "pool-1", **spec: Any) -> IPPool:
    return IPPool.named(name, cidr=ip_network(cidr), **spec)


def node(number: int, *, rack: int = 0, **bgp: Any) -> Node:
    """As it registers: tunnels have the first address of its block 10.244.<number>.0/26."""
    tunnel = ip_address(f"10.244.{number}.0")
    return Node.named(
        f"node-{number}",
        labels=facts(number, rack=rack).labels,
        bgp=NodeBGP(ipv4_address=facts(number, rack=rack).addresses[0], ipv4_ipip_tunnel_addr=tunnel, **bgp),
        ipv4_vxlan_tunnel_addr=tunnel,
        vxlan_tunnel_mac=mac_of(f"node-{number}"),
    )


def block(number: int, *, size: int = 26, holders: dict[int, str] | None = None) -> Block:
    """node-<number>'s block; `holders` are nodes that have its addresses, by their ordinal."""
    made = Block.claimed(ip_network(f"10.244.{number}.0/{size}"), f"node-{number}", NOON)
    for ordinal, holder in (holders or {}).items():
        made = made.taken([ordinal], Owner(f"handle-{ordinal}", {"node": holder}))
    return made


def snapshot(nodes: list[Node], pools: list[IPPool], blocks: list[Block] | None = None) -> Snapshot:
    """A moment with one block to a node, unless others are given."""
    numbers = (int(it.name.rpartition("-")[2]) for it in nodes)
    found = [block(number) for number in numbers] if blocks is None else blocks
    resources = {Node: {it.name: it for it in nodes}, IPPool: {it.name: it for it in pools}}
    return Snapshot(1, resources, {it.cidr: Place.of(it) for it in found})


def site(here: Node, pools: list[IPPool], *, has_ipip: bool = True) -> Site:
    """The site of a node that `node` made."""
    own = here.spec.bgp.ipv4_address
    place = NodeFacts(here.name, (own,), "eth0", 1500, here.labels)
    return Site(place, here, tuple(pools), DEFAULTS, has_ipip)
