"""The control process: scheduler and controllers, and the nodes that left the file are removed."""

from __future__ import annotations

import asyncio
import contextlib

from fabric.api import kinds
from fabric.api.objects import Object, uid_of
from fabric.cluster import follow, loops
from fabric.cluster.places import Places
from fabric.control.client import Client
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.http import HttpClient
from fabric.control.informers import Informers
from fabric.controllers.controllers import Controllers
from fabric.errors import FabricError, NotFound
from fabric.plugin import registry
from fabric.scheduler.scheduler import Scheduler
from fabric.store.remote import RemoteStore

RETRY_SECONDS, TRIES = 0.3, 200


def run(places: Places) -> None:
    loops.run(_run(places))


async def _run(places: Places) -> None:
    client = HttpClient.unix(places.api_socket)
    clock = LoopClock()
    informers = Informers(client)
    schedules = EventRecorder(client, clock, "default-scheduler")
    controls = EventRecorder(client, clock, "controller-manager")
    scheduler = Scheduler(client, informers, schedules, clock)
    controllers = Controllers(client, informers, controls, clock)
    async with asyncio.TaskGroup() as tasks:
        for part in (informers, schedules, controls, scheduler, controllers):
            tasks.create_task(part.run(), name=type(part).__name__)
        tasks.create_task(_remove_nodes_that_left(places, client))


async def _remove_nodes_that_left(places: Places, client: Client) -> None:
    """Delete the Node objects that the spec no longer has, and what the plugin kept for them.

    The controllers see to their pods.
    """
    store = RemoteStore(places.store_socket)
    async for spec in follow.changes(places):
        plugin = registry.load(spec.network.plugin)
        names = {node.name for node in spec.nodes}
        for _ in range(TRIES):
            with contextlib.suppress(FabricError):
                await plugin.retire(spec.network.config(), spec.all_facts(), store)
                if await _removed(client, names):
                    break
            await asyncio.sleep(RETRY_SECONDS)


async def _removed(client: Client, names: set[str]) -> bool:
    try:
        for node in (await client.list(kinds.NODE)).items:
            if node["metadata"]["name"] not in names:
                await _remove(client, node)
    except FabricError:
        return False
    return True


async def _remove(client: Client, node: Object) -> None:
    try:
        await client.delete(kinds.NODE, node["metadata"]["name"], uid=uid_of(node))
    except NotFound:
        return
