"""A worker process: the kubelets and the network agents of its share of the nodes.

One task per node of the spec. A node whose entry or whose images changed is stopped and started with the new
ones; stopping an agent leaves its node's pods and routes as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from fabric.cluster import spec as specs
from fabric.cluster.heartbeats import heartbeat_client
from fabric.cluster.paths import FABRIC_PORT, ClusterPaths
from fabric.cluster.processes import event_loop
from fabric.cluster.runtimes import NamespaceRuntime, NodeDaemons
from fabric.cluster.spec import ClusterNode, ClusterSpec, ImageSpec
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.framed import FramedClient
from fabric.control.http import HttpClient
from fabric.errors import FabricError
from fabric.kernel.linux import LinuxKernel
from fabric.kubelet.catalogue import Catalogue
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.kubelet import Kubelet, SharedCaches
from fabric.plugin import registry
from fabric.plugin.contract import NodeContext
from fabric.plugin.reflector import Reflectors
from fabric.store.remote import RemoteStore
from fabric.topology.underlay import DEVICE

RETRY_SECONDS = 0.05

_Wanted = tuple[ClusterNode, tuple[ImageSpec, ...]]
"""The part of the spec that a node is made of."""

_log = logging.getLogger(__name__)


def run(paths: ClusterPaths, index: int) -> None:
    event_loop.run(_run(paths, index))


async def _run(paths: ClusterPaths, index: int) -> None:
    await WorkerProcess(paths, index).run()


class WorkerProcess:
    """The process that runs the kubelets and agents of one worker's nodes."""

    def __init__(self, paths: ClusterPaths, index: int) -> None:
        self._paths = paths
        self._index = index
        self._spec = specs.current(paths)
        self._runtime = NamespaceRuntime(paths.runtime_socket(index))
        self._kernel = LinuxKernel(self._runtime.pids)
        self._client = FramedClient(paths.components_socket)
        self._store = RemoteStore(paths.store_socket)
        self._plugin = registry.load(self._spec.network.plugin)
        self._reflectors = Reflectors(self._store)
        self._caches = SharedCaches(self._client, self._runtime)
        self._clock = LoopClock()
        self._recorder = EventRecorder(self._client, self._clock, "kubelet")
        self._nodes: dict[str, tuple[_Wanted, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Follow the spec until killed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run(), name="events")
            tasks.create_task(self._runtime.run(), name="runtime")
            tasks.create_task(self._reflectors.run(), name="reflectors")
            tasks.create_task(self._caches.run(), name="caches")
            tasks.create_task(self._runtime.follow(), name="power")
            await self._prepare()
            async for spec in specs.changes(self._paths):
                await self._reconcile(spec, tasks)

    async def _prepare(self) -> None:
        """Let the plugin write what is the whole cluster's, as soon as store and API answer."""
        while True:
            with contextlib.suppress(FabricError):
                await self._plugin.prepare(self._spec.network.config(), self._store, self._client)
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _reconcile(self, spec: ClusterSpec, tasks: asyncio.TaskGroup) -> None:
        nodes = {name: (node, spec.images) for name, node in spec.nodes_of(self._index).items()}
        for name, (before, task) in list(self._nodes.items()):
            if nodes.get(name) != before:
                task.cancel()
                await asyncio.wait([task])
                del self._nodes[name]
        catalogue = spec.catalogue()
        for name, wanted in nodes.items():
            if name not in self._nodes:
                task = tasks.create_task(self._node(spec, wanted[0], catalogue), name=name)
                self._nodes[name] = (wanted, task)

    async def _node(self, spec: ClusterSpec, node: ClusterNode, catalogue: Catalogue) -> None:
        """Kubelet and network agent of one node, from when it is powered on."""
        await self._runtime.powered_on(node.name)
        context = NodeContext(
            facts=spec.facts(node),
            config=spec.network.config(),
            host=self._kernel.host(node.name),
            root=self._paths.node(node.name),
            store=self._store,
            client=self._client,
            daemons=NodeDaemons(self._runtime, node.name, self._paths.node(node.name)),
            informers=self._caches.informers,
            reflectors=self._reflectors,
            features=frozenset(spec.features),
        )
        agent = self._plugin.agent(context)
        heartbeats = self._heartbeats(spec, node.name)
        kubelet = Kubelet(
            _kubelet_config(self._paths, node),
            client=self._client,
            caches=self._caches,
            kernel=self._kernel,
            agent=agent,
            images=catalogue,
            recorder=self._recorder,
            clock=self._clock,
            heartbeats=heartbeats,
        )
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(agent.run(), name=f"agent of {node.name}")
                parts.create_task(kubelet.run(), name=f"kubelet of {node.name}")
                while True:
                    await self._runtime.powered_on_again(node.name)
                    await heartbeats.close()  # its socket would keep the dead namespace, and its wires, alive
                    agent.powered_on()
        finally:
            await heartbeats.close()

    def _heartbeats(self, spec: ClusterSpec, node: str) -> HttpClient:
        url = f"https://{spec.underlay.control_plane_address.ip}:{FABRIC_PORT}"
        return heartbeat_client(url, self._paths.pki, node, DEVICE, lambda: self._runtime.pids.get(node))


def _kubelet_config(paths: ClusterPaths, node: ClusterNode) -> KubeletConfig:
    taints: list[Mapping[str, Any]] = list(node.taints)
    return KubeletConfig(
        node_name=node.name,
        root=paths.node(node.name),
        addresses=(str(node.interface.ip),),
        labels=node.labels,
        taints=taints,
        capacity=node.capacity,
    )
