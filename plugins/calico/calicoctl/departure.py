"""A node's departure: its endpoints, addresses and blocks go with its Node, when that is deleted by hand.

Endpoints and addresses of its pods, addresses of its tunnels, affinities, BGPPeers and configurations of its
own.
"""

from __future__ import annotations

from contextlib import suppress

from calico.ipam.allocator import Ipam
from calico.ipam.tunnels import TUNNELS
from calico.resources import datastore
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import WorkloadEndpoint
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from fabric.api.kinds import NODE
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.errors import NotFound
from fabric.store.port import Store


async def is_part_of(client: Client, name: str) -> bool:
    """True when Kubernetes has the node: then an agent of it registers it again."""
    try:
        await client.get(NODE, name)
    except NotFound:
        return False
    return True


async def release(store: Store, clock: Clock, node: Node) -> None:
    """Give back and remove all that is the node's; the Node itself stays for the caller."""
    ipam = Ipam(store, clock, node.name)
    own = [it for it in await datastore.listed(store, WorkloadEndpoint) if it.spec.node == node.name]
    await ipam.release_addresses(
        network.network_address for endpoint in own for network in endpoint.spec.ip_networks
    )
    for endpoint in own:
        with suppress(NotFound):
            await datastore.delete(store, WorkloadEndpoint, endpoint.name, endpoint.metadata.namespace)
    for tunnel in TUNNELS:
        await ipam.release_handle(tunnel.handle(node.name))
    await ipam.release_host(node.name)
    for peer in await datastore.listed(store, BGPPeer):
        if peer.spec.node == node.name:
            with suppress(NotFound):
                await datastore.delete(store, BGPPeer, peer.name)
    for noun in (FelixConfiguration, BGPConfiguration):
        with suppress(NotFound):
            await datastore.delete(store, noun, f"node.{node.name}")
