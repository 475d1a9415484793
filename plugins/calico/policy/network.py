"""The way of packets between nodes: through which device, and with which source address they arrive.

A packet to a pod of a pool with encapsulation goes through a tunnel, and one that a node itself sends there
has the tunnel device's address. A packet of a pod to an address outside of all pools gets its node's address
where its pool has `natOutgoing`. Without pools the nodes' own tunnels are used, as Flannel's under Canal.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from calico.policy.members import GROUP
from fabric.netstate.objects import IPAddress, IPInterface, IPNetwork
from fabric.plugin.policies import World
from fabric.plugin.policy_reading import Value

WIRE = "eth0"
"""The node's device at the underlay."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The word of an IPPool on the way of packets."""

    network: IPNetwork
    device: str = WIRE
    is_always: bool = True
    """False for CrossSubnet: only between nodes of different subnets."""
    masquerades: bool = False


@dataclass(frozen=True, slots=True)
class NodeAddresses:
    """A node's addresses in Calico's resource Node."""

    subnets: Mapping[int, IPInterface]
    tunnels: Mapping[tuple[str, int], IPAddress]
    """By device and IP version."""


class Network:
    """The pools and nodes of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pools = [_pool(Value.of(it)) for it in world.of_kind("IPPool", GROUP)]
        self._nodes = {
            Value.of(it)["metadata"]["name"].text(): _node(Value.of(it))
            for it in world.of_kind("Node", GROUP)
        }

    def device(self, source: str, target: str, address: IPAddress) -> str:
        """The device by which node `source` sends to an address at `target`; empty is somewhere outside."""
        pool = self._pool_of(address)
        if pool is None or not source or not target:
            return self._foreign_tunnel(source, target, address) if not self._pools else WIRE
        if pool.device == WIRE or pool.is_always:
            return pool.device
        mine, its = (self._nodes.get(it) for it in (source, target))
        here = mine.subnets.get(address.version) if mine else None
        there = its.subnets.get(address.version) if its else None
        is_near = here is not None and there is not None and there.ip in here.network
        return WIRE if is_near else pool.device

    def own_address(self, node: str, device: str, version: int) -> IPAddress | None:
        """The address of a node's tunnel device; None for its device at the underlay."""
        found = self._nodes.get(node)
        address = found.tunnels.get((device, version)) if found else None
        if address is None and (endpoint := self._world.nodes.get(node)) is not None:
            address = endpoint.tunnels.get(device)
        return address if address is not None and address.version == version else None

    def masquerades(self, source: IPAddress, destination: IPAddress) -> bool:
        """Whether a packet of a pod leaves its node with the node's address."""
        pool = self._pool_of(source)
        return pool is not None and pool.masquerades and self._pool_of(destination) is None

    def _pool_of(self, address: IPAddress) -> Pool | None:
        inside = [it for it in self._pools if address in it.network]
        return max(inside, key=lambda it: it.network.prefixlen, default=None)

    def _foreign_tunnel(self, source: str, target: str, address: IPAddress) -> str:
        owner = self._world.at(address)
        node = self._world.nodes.get(source)
        if node is None or not target or owner.kind != "pod" or owner.is_host_network:
            return WIRE
        return next((name for name, it in node.tunnels.items() if it.version == address.version), WIRE)


def _pool(whole: Value) -> Pool:
    spec = whole["spec"]
    network = spec["cidr"].network()
    ipip, vxlan = (spec[name].text() or "Never" for name in ("ipipMode", "vxlanMode"))
    mode = vxlan if ipip == "Never" else ipip
    tunnel = "tunl0" if ipip != "Never" else "vxlan.calico" if network.version == 4 else "vxlan-v6.calico"
    return Pool(
        network,
        WIRE if mode == "Never" else tunnel,
        mode == "Always",
        spec["natOutgoing"].flag(),
    )


def _node(whole: Value) -> NodeAddresses:
    spec = whole["spec"]
    bgp = spec["bgp"]
    subnets = [
        ipaddress.ip_interface(it) for it in (bgp["ipv4Address"].text(), bgp["ipv6Address"].text()) if it
    ]
    given = {
        ("tunl0", 4): bgp["ipv4IPIPTunnelAddr"].text(),
        ("vxlan.calico", 4): spec["ipv4VXLANTunnelAddr"].text(),
        ("vxlan-v6.calico", 6): spec["ipv6VXLANTunnelAddr"].text(),
    }
    tunnels = {key: ipaddress.ip_address(text) for key, text in given.items() if text}
    return NodeAddresses({it.version: it for it in subnets}, tunnels)
