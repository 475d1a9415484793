"""Everything that Felix wants in one node's kernel, over changing blocks and peers.

What one block or one peer needs is computed once and kept until it changes, so that a new block in the
cluster costs each node one block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from calico.felix import nat, routes, tunnels
from calico.felix.site import Site
from calico.places import Place
from calico.resources.nodes import Node
from calico.syncer import Snapshot
from fabric.netstate.objects import IPNetwork, NetState

NAT, HOSTS = "nat", "hosts"
"""The parts that pods' first packets need as they are wanted: an older value masquerades the wrong ones."""

K = TypeVar("K")
V = TypeVar("V")


class NodeState:
    """The state of one node at one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._tunnels, self._nat = tunnels.own_state(site), nat.desired_state(site)
        self._nodes: Mapping[str, Node] = {}
        self._places: Mapping[IPNetwork, Place] = {}
        """Nodes and blocks of the last snapshot; what is below was computed from them."""
        self._ipam: Mapping[IPNetwork, Place] = {}
        self._peers: dict[str, NetState] = {}
        self._blocks: dict[IPNetwork, NetState] = {}
        self._hosts: NetState = frozenset()

    def desired_state(self, snapshot: Snapshot) -> NetState:
        """Return all that the node must have while the datastore is as in `snapshot`."""
        return frozenset().union(*self.parts(snapshot).values())

    def parts(self, snapshot: Snapshot) -> Mapping[str, NetState]:
        """Return the same in parts: the node's own, one a peer, one a block; what stays is one object."""
        nodes, places = snapshot.nodes, self._routed(snapshot)
        renewed = _changed(self._nodes, nodes)
        for name in renewed - {self.site.name}:
            _put(self._peers, name, tunnels.peer_state(self.site, nodes[name]) if name in nodes else None)
        stale = _changed(self._places, places)
        stale |= {cidr for cidr, place in places.items() if not renewed.isdisjoint(place.nodes)}
        for cidr in stale:
            state = routes.block_state(self.site, places[cidr], nodes) if cidr in places else None
            _put(self._blocks, cidr, state)
        if renewed:
            self._hosts = nat.hosts_state(self.site, nodes)
        self._nodes, self._places, self._ipam = nodes, places, snapshot.blocks
        return {
            "tunnels": self._tunnels,
            NAT: self._nat,
            HOSTS: self._hosts,
            **{f"peer:{name}": state for name, state in self._peers.items()},
            **{f"block:{cidr}": state for cidr, state in self._blocks.items()},
        }

    def _routed(self, snapshot: Snapshot) -> Mapping[IPNetwork, Place]:
        """Return what there are routes to: blocks, or each pod's address (routeSource)."""
        return snapshot.workloads if self.site.felix.route_source == "WorkloadIPs" else snapshot.blocks

    @property
    def blocks(self) -> tuple[IPNetwork, ...]:
        """The blocks that were this node's in the last snapshot."""
        own = (cidr for cidr, place in self._ipam.items() if place.host == self.site.name)
        return tuple(sorted(own, key=lambda cidr: (cidr.version, int(cidr.network_address))))


def _changed(before: Mapping[K, V], now: Mapping[K, V]) -> set[K]:
    """The keys whose value is another object, or in one of the two only."""
    if before is now:
        return set()
    news = {key for key, value in now.items() if before.get(key) is not value}
    return news | (before.keys() - now.keys())


def _put(table: dict[K, NetState], key: K, state: NetState | None) -> None:
    """Nothing that is needed is no entry."""
    if state:
        table[key] = state
    else:
        table.pop(key, None)


def preview(site: Site, snapshot: Snapshot) -> NetState:
    """The same for one moment, as `fabric plan` shows it."""
    return NodeState(site).desired_state(snapshot)
