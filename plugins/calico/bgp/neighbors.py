"""The number of ARP entries that the BGP sessions of a topology need, known before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico.bgp.peering import Peering
from calico.bgp.peers import Speaker
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.settings import Settings
from calico.topology_check import registered
from fabric.netstate.objects import IPAddress
from fabric.plugin.contract import NodeFacts


def neighbors(settings: Settings, nodes: Sequence[NodeFacts]) -> int:
    """Count one at each end of an IPv4 session on the node's own network, and one for the gateway."""
    if not settings.runs_bird:
        return 0
    found = {facts.name: registered(facts, settings.rules) for facts in nodes}
    peers = {it.name: it for it in settings.resources if isinstance(it, BGPPeer)}
    configurations = {it.name: it for it in settings.resources if isinstance(it, BGPConfiguration)}
    peering = Peering(found, peers, configurations)
    return sum(_of_node(me, peering) for me in peering.speakers.values())


def _of_node(me: Speaker, peering: Peering) -> int:
    if me.ipv4 is None:
        return 0
    ends = frozenset(it for it in _ends(me, peering) if it != me.ipv4.ip)
    near = sum(it in me.ipv4.network for it in ends)
    return near + (near < len(ends))


def _ends(me: Speaker, peering: Peering) -> Iterator[IPAddress]:
    """The IPv4 addresses of a node's peers."""
    yield from (peer.address for peer in peering.chosen(me) if peer.family == 4)
    if not me.cluster_id:
        yield from (it.ipv4.ip for it in peering.mesh_members if it.ipv4 is not None)
