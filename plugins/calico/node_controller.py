"""The node controller, one of Calico's kube-controllers, releases what deleted nodes hold.

That is their Node, their pods' endpoints, addresses and blocks. And, now and then, it collects what nobody
holds any more: endpoints of nodes that are not there, and addresses whose pods are gone and whose agents
never said so, after the grace that kube-controllers gives them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from calico import decommissioning, workloads
from calico.addresses import handle_of
from calico.ipam import keys
from calico.ipam.garbage import Collector
from calico.ipam.tunnels import TUNNELS
from calico.resources import datastore
from calico.resources.nodes import Node
from calico.resources.table import kind_of, prefix
from calico.workloads import Workload
from fabric.control.clock import Clock
from fabric.errors import Conflict, FabricError, NotFound
from fabric.plugin.contract import NodeFacts
from fabric.store.port import Store

LOOK_SECONDS = 5.0
"""How often it looks for nodes that left when the topology did not change: an agent that had not heard of its
end may have registered once more."""
GC_SECONDS = 60.0

log = logging.getLogger(__name__)


class NodeController:
    """The node controller of a cluster; one process calls `collect_garbage` again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._present: frozenset[str] | None = None
        """The nodes as of the last look."""
        self._look_at = 0.0
        self._collector: Collector | None = None
        self._collect_at = 0.0

    async def collect_garbage(self, nodes: Sequence[NodeFacts], store: Store) -> None:
        """Release what is of no node in `nodes`; while they are the same, only now and then is looked."""
        present = frozenset(facts.name for facts in nodes)
        now = asyncio.get_running_loop().time()
        if present != self._present or now >= self._look_at:
            gone = await _gone(store, present)
            is_done = await self._remove(gone, store)
            self._present = present
            self._look_at = now if gone and is_done else now + LOOK_SECONDS
        if now >= self._collect_at:
            self._collect_at = now + GC_SECONDS
            await self._collect(store, present)

    async def _remove(self, gone: frozenset[str], store: Store) -> bool:
        """Each node on its own: one whose things cannot be read holds up no other. True when all are gone."""
        pods = _by_node(await workloads.listed(store)) if gone else {}
        is_done = True
        for name in sorted(gone):
            try:
                await self._remove_node(name, pods.get(name, ()), store)
            except FabricError as refusal:
                log.warning("%s left, and what it held cannot be released: %s", name, refusal)
                is_done = False
        return is_done

    async def _remove_node(self, name: str, pods: Sequence[Workload], store: Store) -> None:
        await decommissioning.release(store, self._clock, name, pods)
        with suppress(NotFound, Conflict):
            await datastore.delete(store, Node, name)

    async def _collect(self, store: Store, present: frozenset[str]) -> None:
        """Collect what is nobody's, once; a refusal waits for the next time and holds up no leaving node."""
        if self._collector is None:
            self._collector = Collector(store, self._clock)
        try:
            pods = await workloads.listed(store)
            strays = _by_node(pod for pod in pods if pod.node and pod.node not in present)
            for name, left in strays.items():
                await self._remove_node(name, left, store)
            if unreadable := [pod for pod in pods if not pod.container or not pod.node]:
                _say_what_cannot_be_read(unreadable)
                return
            alive = {handle_of(pod.container) for pod in pods if pod.node in present}
            alive |= {tunnel.handle(name) for tunnel in TUNNELS for name in present}
            await self._collector.collect(frozenset(alive), present)
        except FabricError as refusal:
            log.warning("addresses that nobody has any more are not collected: %s", refusal)


def _by_node(pods: Iterable[Workload]) -> Mapping[str, Sequence[Workload]]:
    found: dict[str, list[Workload]] = defaultdict(list)
    for pod in pods:
        found[pod.node].append(pod)
    return found


def _say_what_cannot_be_read(pods: Sequence[Workload]) -> None:
    """Log why nothing is collected: rather a leak than an address given twice."""
    names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods)
    log.warning("nothing is collected: repair or delete WorkloadEndpoints that cannot be read: %s", names)


async def _gone(store: Store, present: frozenset[str]) -> frozenset[str]:
    """Names of nodes that the datastore still knows, by their Node or by an affinity."""
    root = prefix(kind_of(Node))
    named = {kv.key.removeprefix(root) for kv in (await store.range(root)).kvs}
    affine = {
        found.host for kv in (await store.range(keys.HOSTS)).kvs if (found := keys.parse_affinity(kv.key))
    }
    return frozenset((named | affine) - present)
