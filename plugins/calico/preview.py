"""The datastore as it would be if the nodes came up in order: for `fabric plan`, before anything runs.

Each node takes its own first block of every pool that selects it, and its tunnel the first address of it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from calico.felix.site import Site
from calico.felix.tunnels import mac_of
from calico.ipam.candidates import selects
from calico.ipam.walk import NOTHING_RESERVED, Walk
from calico.places import Place
from calico.resources.felix import FelixConfigurationSpec
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.settings import Settings
from calico.syncer import Snapshot
from calico.topology_check import registered
from fabric.netstate.objects import IPNetwork
from fabric.plugin.contract import NodeFacts


def assumed_snapshot(
    settings: Settings, nodes: Sequence[NodeFacts], felix: FelixConfigurationSpec
) -> tuple[Snapshot, Mapping[str, Site]]:
    """Return the snapshot, and every node's site in it by its name."""
    pools = [pool for pool in settings.pools if not pool.spec.disabled]
    blocks: dict[IPNetwork, Place] = {}
    found: dict[str, Node] = {}
    for facts in nodes:
        node = registered(facts, settings.rules)
        for pool in pools:
            if selects(pool.spec, facts.labels):
                walk = Walk(pool.spec, facts.name, random.Random(0))
                cidr = walk.first_free(blocks, NOTHING_RESERVED)
                if cidr is not None:
                    blocks[cidr] = Place(cidr, facts.name, nodes=frozenset({facts.name}))
                    node = _tunnelled(node, pool, cidr)
        found[facts.name] = node
    snapshot = Snapshot(1, {Node: found, IPPool: {pool.name: pool for pool in settings.pools}}, blocks)
    sites = {
        facts.name: Site(facts, found[facts.name], settings.pools, felix, has_ipip=True) for facts in nodes
    }
    return snapshot, sites


def _tunnelled(node: Node, pool: IPPool, cidr: IPNetwork) -> Node:
    """The node with the address of its tunnel, where the pool wants one and it has none."""
    spec, bgp = node.spec, node.spec.bgp
    address: Any = cidr.network_address
    if pool.spec.encapsulation == "ipip" and bgp is not None and bgp.ipv4_ipip_tunnel_addr is None:
        spec = replace(spec, bgp=replace(bgp, ipv4_ipip_tunnel_addr=address))
    elif pool.spec.encapsulation == "vxlan":
        field = "ipv4_vxlan_tunnel_addr" if pool.spec.family == 4 else "ipv6_vxlan_tunnel_addr"
        if getattr(spec, field) is None:
            spec = replace(spec, **{field: address, "vxlan_tunnel_mac": mac_of(node.name)})
    return replace(node, spec=spec)
