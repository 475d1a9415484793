"""The resource Node: a node's BGP address and AS number, its tunnel addresses and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar

from calico.resources import carried
from calico.resources.envelope import Resource
from calico.resources.fields import key, rest
from calico.resources.readers import (
    address,
    as_number,
    interface,
    listed,
    nested,
    node_address,
    of_family,
    text,
)
from calico.resources.refusals import Refusal
from fabric.api.objects import Object
from fabric.netstate.objects import IPInterface


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBGP:
    """The node's part in BGP; a node without it takes none."""

    as_number: int | None = key("asNumber", as_number, default=None)
    ipv4_address: IPInterface | None = key("ipv4Address", of_family(interface, 4), default=None)
    """With the prefix length of the node's network, which CrossSubnet compares."""
    ipv6_address: IPInterface | None = key("ipv6Address", of_family(interface, 6), default=None)
    ipv4_ipip_tunnel_addr: IPv4Address | None = key("ipv4IPIPTunnelAddr", of_family(address, 4), default=None)
    route_reflector_cluster_id: str = key("routeReflectorClusterID", text, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchRef:
    """The node's name at an orchestrator."""

    node_name: str = key("nodeName", text, default="")
    orchestrator: str = key("orchestrator", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    address: str = key("address", node_address)
    """An address, or one with the prefix length of its network."""
    type: str = key("type", text, default="")
    """CalicoNodeIP, InternalIP or ExternalIP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    addresses: tuple[NodeAddress, ...] = key("addresses", listed(nested(NodeAddress)), default=())
    bgp: NodeBGP | None = key("bgp", nested(NodeBGP), default=None)
    ipv4_vxlan_tunnel_addr: IPv4Address | None = key(
        "ipv4VXLANTunnelAddr", of_family(address, 4), default=None
    )
    ipv6_vxlan_tunnel_addr: IPv6Address | None = key(
        "ipv6VXLANTunnelAddr", of_family(address, 6), default=None
    )
    vxlan_tunnel_mac: str = key("vxlanTunnelMACAddr", text, default="")
    vxlan_tunnel_mac_v6: str = key("vxlanTunnelMACAddrV6", text, default="")
    orch_refs: tuple[OrchRef, ...] = key("orchRefs", listed(nested(OrchRef)), default=())
    rest: Mapping[str, Any] = rest(carried.NODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Resource):
    KIND: ClassVar[str] = "Node"
    SPEC: ClassVar[type] = NodeSpec

    spec: NodeSpec

    def to_object(self) -> Object:
        """The JSON; a node's status is written also where it is empty, as Calico does."""
        return {"status": {}} | super(Node, self).to_object()

    def refusals(self) -> list[Refusal]:
        bgp = self.spec.bgp
        found = []
        if bgp is not None and bgp.ipv4_address is None and bgp.ipv6_address is None:
            found.append(Refusal("spec.bgp", "no BGP IP address and subnet specified"))
        if bgp is not None and (cluster_id := bgp.route_reflector_cluster_id):
            refusals: list[Refusal] = []
            of_family(address, 4)(cluster_id, "spec.bgp.routeReflectorClusterID", refusals)
            found += refusals
        return found
