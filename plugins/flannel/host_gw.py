"""The host-gw backend: one plain route for each other node, through that node's own address.

Nothing is encapsulated and nothing is lost of the MTU, but every node must be on this node's network:
a router in between knows nothing of pods. A peer that is not gets no route, and the status says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from fabric.netstate.objects import IPAddress, IPNetwork, NetState, Route
from fabric.plugin.contract import NodeFacts
from flannel import backend
from flannel.backend import Site, is_adjacent, type_refusal
from flannel.leases import Lease
from flannel.net_conf import NetConf, Option


class HostGwBackend:
    """Backend.Type host-gw."""

    type = "host-gw"
    features = frozenset({"iptables"})
    options: Mapping[str, Option] = {}

    def mtu(self, conf: NetConf, facts: NodeFacts) -> int:
        """All of the underlay's."""
        return facts.mtu

    def data(self, conf: NetConf, previous: Lease | None, rng: random.Random) -> tuple[str, ...]:
        return ()

    def own_state(self, site: Site, mtu: int) -> NetState:
        return frozenset()

    def peer_state(self, site: Site, peer: Lease) -> NetState:
        if self.refusal(site, peer):
            return frozenset()
        return frozenset(Route(s, via=_next_hop(peer, s), dev=site.facts.device) for s in peer.subnets)

    def refusal(self, site: Site, peer: Lease) -> str:
        """A peer must run host-gw too, and be on this node's own network."""
        if refusal := type_refusal(self, peer):
            return refusal
        for subnet in peer.subnets:
            next_hop = _next_hop(peer, subnet)
            if next_hop is None:
                return f"the lease of {subnet} has no public address: delete its key {peer.key}"
            if not is_adjacent(site.facts, next_hop):
                networks = ", ".join(str(a.network) for a in site.facts.addresses)
                return (
                    f"{subnet} is behind {next_hop}, which is not on this node's network {networks}: "
                    "host-gw cannot cross a router, use backend vxlan"
                )
        return ""


def desired_state(site: Site, leases: Iterable[Lease]) -> NetState:
    """Return what this node needs in its kernel to reach every other node's pods by plain routes."""
    return backend.desired_state(HostGwBackend(), site, site.facts.mtu, leases)


def _next_hop(peer: Lease, subnet: IPNetwork) -> IPAddress | None:
    return peer.public_ip(4 if subnet.version == 4 else 6)
