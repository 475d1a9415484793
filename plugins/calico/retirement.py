"""What nodes that left hold, given back: their Node, their pods' endpoints and addresses, their blocks.

And, now and then, what nobody holds any more: addresses whose pods are gone and whose agents never said so,
after the grace that kube-controllers gives them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from calico.addresses import handle_of
from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.garbage import Collector
from calico.ipam.tunnels import TUNNELS
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint
from calico.resources.nodes import Node
from calico.resources.table import kind_of, prefix
from fabric.control.clock import Clock
from fabric.errors import Conflict, NotFound
from fabric.plugin.contract import NodeFacts
from fabric.store.port import Store

GC_SECONDS = 60.0


class Retirement:
    """Of one cluster; one process of it calls `retire` again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._collector: Collector | None = None
        self._collect_at = 0.0

    async def retire(self, nodes: Sequence[NodeFacts], store: Store) -> None:
        """Release what is of no node in `nodes`."""
        present = frozenset(facts.name for facts in nodes)
        gone = await _gone(store, present)
        for name in sorted(gone):
            await self._remove(name, store)
        now = asyncio.get_running_loop().time()
        if now >= self._collect_at:
            await self._collect(store, present)
            self._collect_at = now + GC_SECONDS

    async def _remove(self, name: str, store: Store) -> None:
        """Pods first, then tunnels and blocks, the Node last: it is what says that something is left."""
        ipam = Ipam(store, self._clock, name)
        for endpoint in await datastore.listed(store, WorkloadEndpoint):
            if endpoint.spec.node == name:
                await ipam.release_handle(handle_of(endpoint.spec.container_id))
                with suppress(NotFound, Conflict):
                    await datastore.delete(
                        store, WorkloadEndpoint, endpoint.name, endpoint.metadata.namespace
                    )
        for tunnel in TUNNELS:
            await ipam.release_handle(tunnel.handle(name))
        await ipam.release_host(name)
        with suppress(NotFound, Conflict):
            await datastore.delete(store, Node, name)

    async def _collect(self, store: Store, present: frozenset[str]) -> None:
        if self._collector is None:
            self._collector = Collector(store, self._clock)
        endpoints = await datastore.listed(store, WorkloadEndpoint)
        alive = {handle_of(endpoint.spec.container_id) for endpoint in endpoints}
        alive |= {tunnel.handle(name) for tunnel in TUNNELS for name in present}
        await self._collector.collect(frozenset(alive), present)


async def _gone(store: Store, present: frozenset[str]) -> frozenset[str]:
    """Names of nodes that the datastore still knows, by their Node or by an affinity."""
    root = prefix(kind_of(Node))
    named = {kv.key.removeprefix(root) for kv in (await store.range(root)).kvs}
    affine = {
        found.host for kv in (await store.range(keys.HOSTS)).kvs if (found := keys.parse_affinity(kv.key))
    }
    return frozenset((named | affine) - present)
