"""The annotations by which a Kubernetes Node tells its Calico addresses, as calico-node writes them.

projectcalico.org/IPv4Address: 192.168.0.11/16
projectcalico.org/IPv4IPIPTunnelAddr: 10.244.84.128
"""

from __future__ import annotations

from contextlib import suppress

from calico.resources.nodes import Node
from fabric.api.kinds import NODE
from fabric.api.objects import annotations_of
from fabric.control.client import Client
from fabric.errors import NotFound

PREFIX = "projectcalico.org/"


def told_of(node: Node) -> dict[str, str]:
    """The annotations of the Kubernetes Node for this Calico node; empty ones are taken away."""
    spec, bgp = node.spec, node.spec.bgp
    told = {
        "ASNumber": bgp and bgp.as_number,
        "IPv4Address": bgp and bgp.ipv4_address,
        "IPv6Address": bgp and bgp.ipv6_address,
        "IPv4IPIPTunnelAddr": bgp and bgp.ipv4_ipip_tunnel_addr,
        "RouteReflectorClusterID": bgp and bgp.route_reflector_cluster_id,
        "IPv4VXLANTunnelAddr": spec.ipv4_vxlan_tunnel_addr,
        "IPv6VXLANTunnelAddr": spec.ipv6_vxlan_tunnel_addr,
        "VXLANTunnelMACAddr": spec.vxlan_tunnel_mac,
        "VXLANTunnelMACAddrV6": spec.vxlan_tunnel_mac_v6,
    }
    return {PREFIX + name: str(value or "") for name, value in told.items()}


class KubeAnnotations:
    """The writer of one Kubernetes Node's annotations."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node

    async def write(self, node: Node) -> None:
        """Write what differs; while there is no such Node, there is nothing to write."""
        with suppress(NotFound):
            have = annotations_of(await self._client.get(NODE, self._node))
            wanted = told_of(node)
            patch = {key: text or None for key, text in wanted.items() if have.get(key, "") != text}
            if patch:
                await self._client.patch(
                    NODE, self._node, {"metadata": {"annotations": patch}}, field_manager="calico"
                )
