"""The control process: scheduler and controllers, and the nodes that left the file are removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from fabric.api import kinds
from fabric.api.objects import Object, uid_of
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.processes import event_loop
from fabric.cluster.validation import served_kinds
from fabric.control.client import Client
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.http import HttpClient
from fabric.control.informer import Informer
from fabric.control.informers import Informers
from fabric.controllers.controllers import Controllers
from fabric.errors import FabricError, NotFound
from fabric.plugin import registry
from fabric.scheduler.scheduler import Scheduler
from fabric.store.remote import RemoteStore

LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


def run(paths: ClusterPaths) -> None:
    event_loop.run(_run(paths))


async def _run(paths: ClusterPaths) -> None:
    client = HttpClient.unix(paths.api_socket)
    clock = LoopClock()
    informers = Informers(client)
    schedules = EventRecorder(client, clock, "default-scheduler")
    controls = EventRecorder(client, clock, "controller-manager")
    scheduler = Scheduler(client, informers, schedules, clock)
    table = served_kinds(specs.current(paths))
    controllers = Controllers(client, informers, controls, clock, kinds=table)
    async with asyncio.TaskGroup() as tasks:
        for part in (informers, schedules, controls, scheduler, controllers):
            tasks.create_task(part.run(), name=type(part).__name__)
        tasks.create_task(_remove_nodes_that_left(paths, client, informers.of(kinds.NODE)))


async def _remove_nodes_that_left(paths: ClusterPaths, client: Client, nodes: Informer) -> None:
    """Delete the Node objects that the spec no longer has, and what the plugin kept for them, for ever.

    Again and again, because an agent that has not heard of its end yet may take its lease once more.
    The controllers see to the pods.
    """
    store = RemoteStore(paths.store_socket)
    plugin = registry.load(specs.current(paths).network.plugin)
    while True:
        spec = specs.current(paths)
        names = {node.name for node in spec.nodes}
        try:
            await plugin.retire(spec.network.config(), spec.all_facts(), store)
            for node in nodes.items():
                if node["metadata"]["name"] not in names:
                    await _remove(client, node)
        except FabricError as error:
            _log.info("nodes that left: %s (again in %.1f s)", error, LOOK_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)


async def _remove(client: Client, node: Object) -> None:
    with contextlib.suppress(NotFound):
        await client.delete(kinds.NODE, node["metadata"]["name"], uid=uid_of(node))
