"""A backend is a way to carry packets from one node's subnet to another's.

A backend computes. It says what its lease tells the others, what this node needs for itself, and what
it needs for each peer; all of it is kernel state. The one loop of the agent applies it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fabric.netstate.objects import IPAddress, NetState
from fabric.plugin.contract import NodeFacts
from flannel.leases import Lease
from flannel.net_conf import NetConf, Option


@dataclass(frozen=True, slots=True)
class Site:
    """This node, as its backend sees it: the place, its lease, and the cluster's configuration."""

    facts: NodeFacts
    conf: NetConf
    lease: Lease


class Backend(Protocol):
    """A backend type of net-conf.json. It has no state: everything it needs is in its arguments."""

    type: str
    options: Mapping[str, Option]
    """Keys below Backend, beside Type."""
    features: frozenset[str]
    """Kernel features it needs, by doctor's names."""

    def mtu(self, conf: NetConf, facts: NodeFacts) -> int:
        """The largest packet of a pod that fits, in bytes."""
        ...

    def data(self, conf: NetConf, previous: Lease | None, rng: random.Random) -> tuple[str, ...]:
        """BackendData for this node's lease, one JSON text per range; what can stay as before stays."""
        ...

    def own_state(self, site: Site, mtu: int) -> NetState:
        """Return what this node needs before it has any peer."""
        ...

    def peer_state(self, site: Site, peer: Lease) -> NetState:
        """Return what this node needs to reach one peer; empty when `refusal` says why it cannot."""
        ...

    def refusal(self, site: Site, peer: Lease) -> str:
        """Why this node cannot reach that peer, and what to do; empty when it can."""
        ...


def desired_state(backend: Backend, site: Site, mtu: int, leases: Iterable[Lease]) -> NetState:
    """Return all that the backend needs in this node's kernel to reach every other node's pods."""
    peers = (lease for lease in leases if is_peer(site.lease, lease))
    return backend.own_state(site, mtu).union(*(backend.peer_state(site, peer) for peer in peers))


def is_peer(own: Lease, other: Lease) -> bool:
    """True for another node's lease: not this one, nor one that this node had before."""
    return other.key != own.key and other.public_ips[:1] != own.public_ips[:1]


def public_ips(conf: NetConf, facts: NodeFacts) -> tuple[IPAddress, ...]:
    """The node's own underlay addresses: the first of each family that the configuration has."""
    wanted = [range_.family for range_ in conf.ranges]
    found = [next((a.ip for a in facts.addresses if a.version == family), None) for family in wanted]
    return tuple(ip for ip in found if ip is not None)


def is_adjacent(facts: NodeFacts, address: IPAddress) -> bool:
    """True when the address is on one of the node's own networks: reached without a gateway."""
    return any(a.version == address.version and address in a.network for a in facts.addresses)


def type_refusal(backend: Backend, peer: Lease) -> str:
    """Why a lease of another backend cannot be a peer; empty when it is the same."""
    if peer.backend == backend.type:
        return ""
    return f"{_names(peer)} runs backend {peer.backend or 'none'}, this node {backend.type}: use one for all"


def _names(peer: Lease) -> str:
    return ", ".join(map(str, peer.subnets))
