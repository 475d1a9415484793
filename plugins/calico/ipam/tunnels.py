"""The addresses of a node's tunnel devices: one each, from a pool whose packets go through the tunnel.

The handle names the node (`ipip-tunnel-addr-node-1`), so that the address stays with it over
restarts; a node asks for it one call at a time. When no pool with that encapsulation is left, the address
is given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calico.ipam.allocator import Ipam
from calico.ipam.blocks import Owner
from calico.ipam.candidates import PoolRequest, selected
from calico.resources.datastore import listed
from calico.resources.pools import IPPool
from fabric.netstate.objects import Family, IPAddress


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel device of a node."""

    encapsulation: str
    """ipip, vxlan or wireguard."""
    family: Family = 4

    def handle(self, node: str) -> str:
        return f"{self.encapsulation}{'-v6' * (self.family == 6)}-tunnel-addr-{node}"

    def owner(self, node: str) -> Owner:
        type_ = f"{self.encapsulation}{'V6' * (self.family == 6)}TunnelAddress"
        return Owner(self.handle(node), {"node": node, "type": type_})


IPIP, VXLAN, VXLAN_V6 = Tunnel("ipip"), Tunnel("vxlan"), Tunnel("vxlan", 6)
TUNNELS = (IPIP, VXLAN, VXLAN_V6)


async def tunnel_address(ipam: Ipam, tunnel: Tunnel, node_labels: Mapping[str, str]) -> IPAddress | None:
    """The address that the tunnel device of `ipam.host` must have, or None when no pool wants the tunnel."""
    specs = selected(await listed(ipam.store, IPPool), node_labels)
    cidrs = tuple(
        spec.cidr
        for spec in specs
        if spec.family == tunnel.family
        and "Tunnel" in spec.allowed_uses
        and tunnel.encapsulation in (spec.encapsulation, "wireguard")
    )
    handle = tunnel.handle(ipam.host)
    have = await ipam.addresses(handle)
    kept = [address for address in have if any(address in cidr for cidr in cidrs)]
    await ipam.release_addresses((address for address in have if address not in kept[:1]), handle)
    if kept or not cidrs:
        return kept[0] if kept else None
    wish = PoolRequest(family=tunnel.family, use="Tunnel", pools=cidrs)
    return (await ipam.auto_assign(tunnel.owner(ipam.host), wish))[0]
