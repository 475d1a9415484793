"""The kubelet registers its node, and runs the pods that the API binds to it.

Many live in one process and share its caches; each has one watch of its own pods. Everything that a
restarted kubelet needs is in the API, the runtime and the plugin: ending `run` ends no pod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fabric.api.hostports import host_ports
from fabric.api.kinds import NODE, POD
from fabric.api.objects import Key, Object, is_deleting, uid_of
from fabric.control.backoff import Backoff
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import EventRecorder
from fabric.control.informer import Informer
from fabric.control.informers import Informers
from fabric.control.loop import Loop
from fabric.kubelet.admission import Admission
from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.images import Catalogue, Puller
from fabric.kubelet.killpod import PodKiller
from fabric.kubelet.network import PodNetwork
from fabric.kubelet.nodeobject import capacity, new_node
from fabric.kubelet.noderegistration import NodeRegistration
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.podfiles import uids_on_disk
from fabric.kubelet.podspec import host_network, is_terminal, spec_of, status_of
from fabric.kubelet.podworkers import BY_UID, PodWorkers
from fabric.kubelet.sources import SourceCache
from fabric.kubelet.statuswriter import StatusWriter
from fabric.kubelet.syncpod import PodSyncer
from fabric.netstate.port import Kernel
from fabric.plugin.contract import NodeAgent
from fabric.runtime.contract import Runtime, SandboxStatus

RETRY = Backoff(0.1, 10.0)
"""A pod that was refused something is tried again within ten seconds, Kubernetes' backOffPeriod."""

log = logging.getLogger(__name__)


class SharedCaches:
    """The caches that all kubelets of a process share: the runtime's pods, Nodes, ConfigMaps and Secrets.

    `run` must be running.
    """

    def __init__(self, client: Client, runtime: Runtime) -> None:
        self.pods = PodCache(runtime)
        self.informers = Informers(client)
        self.nodes = self.informers.of(NODE)
        self.sources = SourceCache(client)

    async def run(self) -> None:
        """Follow the runtime and the API for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pods.run())
            tasks.create_task(self.informers.run())


class Kubelet:
    """The agent of one node. The caller runs `recorder`, `agent` and `caches`, which many kubelets share."""

    def __init__(
        self,
        config: KubeletConfig,
        *,
        client: Client,
        caches: SharedCaches,
        kernel: Kernel,
        agent: NodeAgent,
        images: Catalogue,
        recorder: EventRecorder,
        clock: Clock,
        heartbeats: Client | None = None,
    ) -> None:
        """`heartbeats`: the client for the node's status and lease, where these take another way."""
        self._config = config
        self._events = events = recorder.at(config.node_name)
        self._pod_cache = pod_cache = caches.pods
        self._agent = agent
        self._pods = Informer(client, POD, field_selector=f"spec.nodeName={config.node_name}")
        self._pods.add_index(BY_UID, _uids)
        self._nodes, self._host = caches.nodes, kernel.host(config.node_name)
        self._admission = Admission(capacity(config), self._node)
        self._network = PodNetwork(config.node_name, kernel, agent, config.root)
        sources, puller = caches.sources, Puller(images)
        syncer = PodSyncer(
            config, pod_cache, self._network, sources, puller, KeyedBackoff(), events, clock, capacity(config)
        )
        self._statuses = StatusWriter(client)
        killer = PodKiller(config, client, pod_cache, self._network, events)
        self._sync = PodWorkers(
            config, self._pods, pod_cache, syncer, killer, self._statuses, events, clock, self._admission
        )
        self._controller = self._controller_of(self._sync)
        self._collected = asyncio.Event()
        name, seconds = self._controller.name, config.resync_seconds
        self._drift = Loop(f"{name}: drift", self._repair_told)
        self._resync = Loop(f"{name}: resync", self._look_again, resync_seconds=seconds)
        self._registration = NodeRegistration(
            config, heartbeats or client, caches.nodes, pod_cache, agent, events, clock
        )

    async def run(self) -> None:
        """Run for ever; cancelling it leaves every pod running."""
        self._pod_cache.listen(self._config.node_name, self._controller.queue.add)
        self._pods.on_change(self._pod_changed)
        self._network.host_ports.on_mapped = self._controller.queue.add
        stop = self._network.listen(self._drift.trigger)
        hear_no_more = self._host.watch(lambda medium, obj, gone: self._registration.try_again())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._registration.run())
                tasks.create_task(self._pods.run())
                await self._pod_cache.known()
                await self._pods.synced()
                await self._nodes.synced()
                self._admission.admit_all(self._pods.items())
                self._resume_host_ports()
                tasks.create_task(self._network.host_ports.run())
                tasks.create_task(Loop(f"{self._controller.name}: what is left", self._collect).run())
                await self._collected.wait()
                tasks.create_task(self._controller.run())
                tasks.create_task(self._drift.run())
                tasks.create_task(self._resync.run())
        finally:
            stop()
            hear_no_more()
            self._pod_cache.silence(self._config.node_name)

    def _controller_of(self, sync: PodWorkers) -> Controller[str]:
        name, workers = f"kubelet {self._config.node_name}", self._config.workers
        controller = Controller(
            name, sync.reconcile, workers=workers, backoff=RETRY, on_park=self._tell_parked
        )
        sync.queue = controller.queue
        return controller

    def _pod_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is None or not self._statuses.is_own_echo(new):
            for uid in {uid_of(pod) for pod in (old, new) if pod is not None}:
                self._controller.queue.add(uid)

    async def _collect(self) -> None:
        """Release what belongs to no pod of this node: at the plugin, in the runtime, on the disk."""
        pods = {uid_of(pod): pod for pod in self._pods.items()}
        alive = frozenset(uid for uid, pod in pods.items() if not is_terminal(status_of(pod)))
        await self._agent.collect(alive)
        sandboxes = {sandbox.id for sandbox in self._pod_cache.sandboxes_of(self._config.node_name)}
        for uid in (sandboxes | uids_on_disk(self._config)) - pods.keys():
            self._controller.queue.add(uid)
        self._collected.set()

    def _resume_host_ports(self) -> None:
        """Keep the rules that stand from before this kubelet started, until it is known what is wanted."""
        sandboxes = {sandbox.id: sandbox.alive for sandbox in self._sandboxes()}
        if sandboxes or uids_on_disk(self._config):
            pods = [pod for pod in self._pods.items() if sandboxes.get(uid_of(pod))]
            mapped = [pod for pod in pods if host_ports(spec_of(pod)) and not host_network(pod)]
            self._network.host_ports.resume(
                uid_of(pod) for pod in mapped if not is_terminal(status_of(pod)) and not is_deleting(pod)
            )

    async def _repair_told(self) -> None:
        """Repair what the node's and the pods' namespaces told of."""
        self._repair(await self._network.drifted_as_told(self._sandboxes()))

    def _sandboxes(self) -> Sequence[SandboxStatus]:
        return self._pod_cache.sandboxes_of(self._config.node_name)

    def _repair(self, drifted: frozenset[str]) -> None:
        if drifted:
            log.info("node %s: the network of %d pods has drifted", self._config.node_name, len(drifted))
        for uid in drifted:
            self._controller.queue.add(uid)

    async def _look_again(self) -> None:
        """Have every pod looked at, and every namespace read."""
        for pod in self._pods.items():
            self._sync.look_again(uid_of(pod))
        self._repair(await self._network.drifted(self._sandboxes()))

    def _node(self) -> Object:
        """The Node as the API has it, or, before it is registered, as it will be."""
        return self._nodes.get(Key("", self._config.node_name)) or new_node(self._config)

    def _tell_parked(self, uid: str, bug: Exception) -> None:
        """Say it on the pod: whoever waits for it sees that, and why, it does not go on."""
        for pod in self._pods.by_index(BY_UID, uid):
            text = f"a bug in fabric keeps the kubelet from working on this pod: {type(bug).__name__}: {bug}"
            self._events.event(pod, "Warning", "FailedSync", text)


def _uids(pod: Object) -> tuple[str, ...]:
    return (uid_of(pod),)
