"""This node as Felix sees it: its place in the underlay, what it registered, and what holds for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from calico.resources.felix import DEFAULTS, FelixConfigurationSpec
from calico.resources.nodes import Node
from calico.resources.notation import seconds_of
from calico.resources.pools import IPPool
from fabric.control.netloop import RESYNC_JITTER, RESYNC_SECONDS
from fabric.netstate.objects import Family, IPAddress, IPInterface
from fabric.netstate.port import Medium
from fabric.plugin.contract import NodeFacts

REFRESH_SECONDS_MIN = 1.0
"""The shortest refresh interval: a read of the kernel costs milliseconds."""


@dataclass(frozen=True, slots=True)
class Site:
    """A node with its configuration; equal sites need equal states."""

    facts: NodeFacts
    node: Node
    pools: tuple[IPPool, ...]
    felix: FelixConfigurationSpec
    has_ipip: bool
    """The kernel has an ipip driver; else tunl0 is a TUN device that a carrier serves."""

    @property
    def name(self) -> str:
        return self.facts.name

    def address(self, family: Family) -> IPInterface | None:
        """The node's own address, with its network's prefix length."""
        return node_address(self.node, family)

    @property
    def wants_ipip(self) -> bool:
        return self._wants("ipip") and self.ipip_address is not None

    @property
    def ipip_address(self) -> IPAddress | None:
        return self.node.spec.bgp.ipv4_ipip_tunnel_addr if self.node.spec.bgp else None

    def wants_vxlan(self, family: Family) -> bool:
        return self._wants("vxlan", family) and self.vxlan_address(family) is not None

    def vxlan_address(self, family: Family) -> IPAddress | None:
        return vtep_address(self.node, family)

    def source(self, family: Family) -> IPAddress | None:
        """The source of the node's own packets to pods (deviceRouteSourceAddress); None: Linux' choice."""
        felix = self.felix
        return felix.device_route_source_address if family == 4 else felix.device_route_source_address_v6

    @property
    def resync_seconds(self) -> Mapping[Medium, float]:
        """The seconds after which each medium is read again, with jitter: the refresh intervals at most.

        An interval of 0 is never; where Calico's default stands, fabric's own intervals hold.
        """
        told: Mapping[Medium, tuple[str | None, str | None]] = {
            "netlink": (self.felix.route_refresh_interval, DEFAULTS.route_refresh_interval),
            "sets": (self.felix.ipsets_refresh_interval, DEFAULTS.ipsets_refresh_interval),
            "rules": (self.felix.iptables_refresh_interval, DEFAULTS.iptables_refresh_interval),
        }
        given = {medium: seconds_of(now or "0") for medium, (now, default) in told.items() if now != default}
        most = {medium: max(it, REFRESH_SECONDS_MIN) if it else math.inf for medium, it in given.items()}
        return {**RESYNC_SECONDS, **{medium: it / (1 + RESYNC_JITTER) for medium, it in most.items()}}

    def _wants(self, encapsulation: str, family: Family = 4) -> bool:
        """True where ipipEnabled or vxlanEnabled says so; unset, where a pool needs it."""
        told = self.felix.ipip_enabled if encapsulation == "ipip" else self.felix.vxlan_enabled
        if told is not None:
            return told
        return any(
            pool.spec.encapsulation == encapsulation and pool.spec.family == family for pool in self.pools
        )


def node_address(node: Node, family: Family) -> IPInterface | None:
    """A node's own address, as it registered it."""
    bgp = node.spec.bgp
    if bgp is None:
        return None
    return bgp.ipv4_address if family == 4 else bgp.ipv6_address


def vtep_address(node: Node, family: Family) -> IPAddress | None:
    """The address of a node's VXLAN device."""
    return node.spec.ipv4_vxlan_tunnel_addr if family == 4 else node.spec.ipv6_vxlan_tunnel_addr
