"""A node's decommissioning releases what it holds in the datastore, after it left or was deleted by hand.

Endpoints and addresses of its pods go first, then its tunnels' addresses and its blocks; its Node is the
caller's, and goes last: it is what says that something is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from calico import workloads
from calico.addresses import handle_of
from calico.ipam.allocator import Ipam
from calico.ipam.tunnels import TUNNELS
from calico.resources import datastore
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.resources.felix import FelixConfiguration
from calico.workloads import Workload
from fabric.control.clock import Clock
from fabric.errors import NotFound
from fabric.store.port import Store


async def release(store: Store, clock: Clock, node: str, pods: Iterable[Workload]) -> None:
    """Give back what the node and its pods hold; idempotent."""
    ipam = Ipam(store, clock, node)
    for pod in pods:
        await ipam.release_handle(handle_of(pod.container))
        await workloads.delete(store, pod.namespace, pod.name, pod.container)
    for tunnel in TUNNELS:
        await ipam.release_handle(tunnel.handle(node))
    await ipam.release_host(node)


async def delete_resources(store: Store, node: str) -> None:
    """Delete the BGPPeers and configurations that are for this node alone."""
    for peer in await datastore.listed(store, BGPPeer):
        if peer.spec.node == node:
            with suppress(NotFound):
                await datastore.delete(store, BGPPeer, peer.name)
    for resource_type in (FelixConfiguration, BGPConfiguration):
        with suppress(NotFound):
            await datastore.delete(store, resource_type, f"node.{node}")
