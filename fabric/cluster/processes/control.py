"""The control process: scheduler and controllers, and the nodes that left the file are removed."""

from __future__ import annotations

import asyncio
import contextlib

from fabric.api import kinds
from fabric.api.objects import Key, Object, uid_of
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.processes import event_loop
from fabric.cluster.validation import served_kinds
from fabric.control.backoff import Backoff, jittered
from fabric.control.client import Client
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.framed import FramedClient
from fabric.control.informer import Informer
from fabric.control.informers import Informers
from fabric.control.loop import Loop
from fabric.controllers.controllers import Controllers
from fabric.errors import NotFound
from fabric.plugin import registry
from fabric.plugin.contract import ClusterContext, Component
from fabric.plugin.reflector import Reflectors
from fabric.scheduler.scheduler import Scheduler
from fabric.store.remote import RemoteStore

LOOK_SECONDS, FRESH_SECONDS = 0.5, 15.0
RESYNC_SECONDS = 30.0


def run(paths: ClusterPaths) -> None:
    event_loop.run(_run(paths))


async def _run(paths: ClusterPaths) -> None:
    client = FramedClient(paths.components_socket)
    clock = LoopClock()
    informers = Informers(client)
    schedules = EventRecorder(client, clock, "default-scheduler")
    controls = EventRecorder(client, clock, "controller-manager")
    scheduler = Scheduler(client, informers, schedules, clock)
    table = served_kinds(specs.current(paths))
    controllers = Controllers(client, informers, controls, clock, kinds=table)
    network, store = specs.current(paths).network, RemoteStore(paths.store_socket)
    reflectors = Reflectors(store)
    context = ClusterContext(network.config(), store, client, informers, reflectors)
    plugins = registry.load(network.plugin).controllers(context)
    own: tuple[Component, ...] = (informers, reflectors, schedules, controls, scheduler, controllers)
    async with asyncio.TaskGroup() as tasks:
        for part in (*own, *plugins):
            tasks.create_task(part.run(), name=type(part).__name__)
        tasks.create_task(NodeRemoval(paths, client, informers.of(kinds.NODE)).run())


class NodeRemoval:
    """The removal of Node objects that the spec no longer has, and of what the plugin kept for them.

    An agent that has not heard of its end yet may take its lease once more: so they are looked for again and
    again after each change of the spec, and then now and then. The controllers see to the pods.
    """

    def __init__(self, paths: ClusterPaths, client: Client, nodes: Informer) -> None:
        self._paths = paths
        self._client = client
        self._nodes = nodes
        self._store = RemoteStore(paths.store_socket)
        self._spec = specs.current(paths)
        self._plugin = registry.load(self._spec.network.plugin)
        self._loop = Loop("nodes that left", self._reconcile, backoff=Backoff(LOOK_SECONDS, LOOK_SECONDS))
        self._changed_at = 0.0

    async def run(self) -> None:
        """Follow the spec and the Nodes, for ever."""
        self._nodes.on_change(self._node_changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run())
            async for spec in specs.changes(self._paths):
                self._spec = spec
                self._changed_at = asyncio.get_running_loop().time()
                self._loop.trigger()

    def _node_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None and key.name not in self._names():
            self._loop.trigger()

    def _names(self) -> frozenset[str]:
        return frozenset(node.name for node in self._spec.nodes)

    async def _reconcile(self) -> float:
        names, spec = self._names(), self._spec
        await self._plugin.collect_garbage(spec.network.config(), spec.all_facts(), self._store)
        for node in self._nodes.items():
            if node["metadata"]["name"] not in names:
                await _remove(self._client, node)
        is_fresh = asyncio.get_running_loop().time() < self._changed_at + FRESH_SECONDS
        return LOOK_SECONDS if is_fresh else jittered(RESYNC_SECONDS, 0.5)


async def _remove(client: Client, node: Object) -> None:
    with contextlib.suppress(NotFound):
        await client.delete(kinds.NODE, node["metadata"]["name"], uid=uid_of(node))
