"""All that one node needs for flannel, as data: the device, the peers, cni0, and the rules.

Peers are computed one by one and kept: a change at one peer costs that peer's entries.
"""

from __future__ import annotations

from collections.abc import Mapping

from fabric.netstate.objects import NetState
from flannel import cni, subnet_env, traffic
from flannel.backend import Backend, Site, is_peer
from flannel.leases import Lease
from flannel.subnet_env import SubnetEnv


def own_state(backend: Backend, site: Site, mtu: int, *, endpoints: bool = True) -> NetState:
    """Return what the node needs whoever its peers are; with `endpoints`, what pods hang on too."""
    rules = traffic.desired_state(site.conf.networks, site.lease.subnets)
    place = cni.node_state(env_of(site, mtu)) if endpoints else frozenset()
    return backend.own_state(site, mtu) | place | rules


def env_of(site: Site, mtu: int) -> SubnetEnv:
    """subnet.env of this node."""
    networks = tuple(n for s in site.lease.subnets for n in site.conf.networks if n.version == s.version)
    return subnet_env.of(networks, site.lease.subnets, mtu)


class NodeState:
    """The state of one node with one lease, over changing peers."""

    def __init__(self, backend: Backend, site: Site, mtu: int, *, endpoints: bool = True) -> None:
        self.site = site
        self.env = env_of(site, mtu)
        self._backend = backend
        self._own = own_state(backend, site, mtu, endpoints=endpoints)
        self._peers: dict[str, tuple[Lease, NetState]] = {}

    def desired_state(self, leases: Mapping[str, Lease]) -> NetState:
        """Return all that this node must have while these are the leases of the cluster."""
        return frozenset().union(*self.parts(leases).values())

    def parts(self, leases: Mapping[str, Lease]) -> Mapping[str, NetState]:
        """Return the same in parts: the node's own, and one for each peer; what stays is the same object."""
        peers = {key: lease for key, lease in leases.items() if is_peer(self.site.lease, lease)}
        self._peers = {key: self._peer(key, lease) for key, lease in peers.items()}
        return {"node": self._own, **{f"peer:{key}": state for key, (_, state) in self._peers.items()}}

    def refusals(self) -> tuple[str, ...]:
        """Why some of the last peers cannot be reached."""
        found = (self._backend.refusal(self.site, lease) for lease, _ in self._peers.values())
        return tuple(refusal for refusal in found if refusal)

    @property
    def peers(self) -> int:
        """The number of other nodes that had a lease."""
        return len(self._peers)

    def _peer(self, key: str, lease: Lease) -> tuple[Lease, NetState]:
        known = self._peers.get(key)
        if known is not None and known[0] == lease:
            return known
        return lease, self._backend.peer_state(self.site, lease)
