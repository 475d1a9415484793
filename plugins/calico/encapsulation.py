"""The encapsulation of packets to another node's block: none, IPIP or VXLAN; and the MTU that it leaves.

A pool says the mode. CrossSubnet spares the encapsulation where the other node is on this node's own network,
which the prefix length of its address tells. Who writes the routes follows from it: Felix for VXLAN, BIRD for
the others, unless FelixConfiguration's programClusterRoutes gives IPIP's to Felix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from calico.resources.felix import FelixConfigurationSpec
from calico.resources.pools import IPPool, IPPoolSpec
from fabric.netstate.objects import Family, IPAddress, IPInterface, IPNetwork

Way = Literal["bare", "ipip", "vxlan"]

IPIP_OVERHEAD = 20
VXLAN_OVERHEAD: Mapping[Family, int] = {4: 50, 6: 70}
"""Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14."""
TUNL0, VXLAN_CALICO = "tunl0", "vxlan.calico"


def way(pool: IPPoolSpec, own: IPInterface, peer: IPAddress) -> Way:
    """The encapsulation of packets for a block of the pool from the node at `own` to the node at `peer`."""
    for mode, encapsulated in ((pool.ipip_mode, "ipip"), (pool.vxlan_mode, "vxlan")):
        if mode == "Always" or (mode == "CrossSubnet" and peer not in own.network):
            return "ipip" if encapsulated == "ipip" else "vxlan"
    return "bare"


def is_felix_s(pool: IPPoolSpec, felix: FelixConfigurationSpec) -> bool:
    """True where Felix writes the routes to the pool's blocks: VXLAN's always, IPIP's when it is told to."""
    return pool.encapsulation == "vxlan" or (
        pool.encapsulation == "ipip" and felix.program_cluster_routes != "Disabled"
    )


def pool_of(pools: Iterable[IPPool], cidr: IPNetwork) -> IPPoolSpec | None:
    """The pool in which a block, or an address, lies."""
    for pool in pools:
        outer = pool.spec.cidr
        if outer.version == cidr.version and outer.prefixlen <= cidr.prefixlen and outer.overlaps(cidr):
            return pool.spec
    return None


def overhead(pool: IPPoolSpec) -> int:
    """Bytes that the pool's encapsulation takes of each packet, where it is used."""
    if pool.encapsulation == "ipip":
        return IPIP_OVERHEAD
    return VXLAN_OVERHEAD[pool.family] if pool.encapsulation == "vxlan" else 0


def pod_mtu(underlay: int, pools: Iterable[IPPool], felix: FelixConfigurationSpec) -> int:
    """MTU of every pod: what passes by any of the ways that packets may take.

    An ipipMTU or vxlanMTU that Felix is given counts in place of what the underlay leaves.
    """
    ways = (pool.spec for pool in pools if not pool.spec.disabled)
    return min((_given(way, felix) or underlay - overhead(way) for way in ways), default=underlay)


def _given(pool: IPPoolSpec, felix: FelixConfigurationSpec) -> int | None:
    if pool.encapsulation == "ipip":
        return felix.ipip_mtu
    if pool.encapsulation == "vxlan":
        return felix.vxlan_mtu if pool.family == 4 else felix.vxlan_mtu_v6
    return None
