"""One node's kubelet: it registers the node, and runs the pods that the API binds to it.

Many live in one process. They should share its runtime `Census` (one event stream) and its `SourceCache`;
each has one watch of its own pods. Everything that a restarted kubelet needs is in the API, the
runtime and the plugin: ending `run` ends no pod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from fabric.api.kinds import POD
from fabric.api.objects import Key, Object, uid_of
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import EventRecorder
from fabric.control.informer import Informer
from fabric.errors import FabricError
from fabric.kubelet.backoff import BackOff
from fabric.kubelet.census import Census
from fabric.kubelet.config import KubeletConfig, uids_on_disk
from fabric.kubelet.images import Catalogue, Puller
from fabric.kubelet.network import PodNetwork
from fabric.kubelet.nodeobject import capacity
from fabric.kubelet.noderegistration import NodeRegistration
from fabric.kubelet.podspec import is_terminal, status_of
from fabric.kubelet.podsync import BY_UID, PodSync
from fabric.kubelet.sources import SourceCache
from fabric.kubelet.starting import Starter
from fabric.kubelet.statuswriter import StatusWriter
from fabric.kubelet.stopping import Stopper
from fabric.netstate.port import Kernel
from fabric.plugin.contract import NodeAgent
from fabric.runtime.contract import Runtime, SandboxStatus

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 10.0

log = logging.getLogger(__name__)


class Kubelet:
    """The agent of one node. The caller runs `recorder`, the network `agent`, and a `Census` it hands over.

    `runtime` may be a `Census` that many kubelets share; a bare runtime gets one for this kubelet alone.
    """

    def __init__(
        self,
        config: KubeletConfig,
        *,
        client: Client,
        runtime: Runtime | Census,
        kernel: Kernel,
        agent: NodeAgent,
        images: Catalogue,
        recorder: EventRecorder,
        clock: Clock,
        sources: SourceCache | None = None,
    ) -> None:
        self._config = config
        events = recorder.at(config.node_name)
        self._own_census = not isinstance(runtime, Census)
        self._census = census = runtime if isinstance(runtime, Census) else Census(runtime)
        sources = sources or SourceCache(client)
        self._agent = agent
        backoff = BackOff()
        self._pods = Informer(client, POD, field_selector=f"spec.nodeName={config.node_name}")
        self._pods.add_index(BY_UID, _uids)
        self._network = PodNetwork(config.node_name, kernel, agent)
        self._starter = Starter(
            config, census, self._network, sources, Puller(images), backoff, events, clock, capacity(config)
        )
        self._statuses = StatusWriter(client)
        stopper = Stopper(config, client, census, self._network, events)
        self._sync = PodSync(
            config, self._pods, census, self._starter, stopper, self._statuses, backoff, events, clock
        )
        self._controller: Controller[str] = Controller(
            f"kubelet {config.node_name}", self._sync.reconcile, workers=config.workers
        )
        self._sync.queue = self._controller.queue
        self._registration = NodeRegistration(config, client, census, agent, clock)

    async def run(self) -> None:
        """Run for ever; cancelling it leaves every pod running."""
        self._census.listen(self._config.node_name, self._controller.queue.add)
        self._pods.on_change(self._pod_changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._own_census:
                    tasks.create_task(self._census.run())
                tasks.create_task(self._registration.run())
                tasks.create_task(self._pods.run())
                await self._census.known()
                await self._pods.synced()
                await self._collect()
                tasks.create_task(self._controller.run())
                tasks.create_task(self._resync())
        finally:
            self._census.silence(self._config.node_name)

    def _pod_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is None or not self._statuses.is_own_echo(new):
            for uid in {uid_of(pod) for pod in (old, new) if pod is not None}:
                self._controller.queue.add(uid)

    async def _collect(self) -> None:
        """Release what belongs to no pod of this node: at the plugin, in the runtime, on the disk."""
        pods = {uid_of(pod): pod for pod in self._pods.items()}
        alive = frozenset(uid for uid, pod in pods.items() if not is_terminal(status_of(pod)))
        await _insist(lambda: self._agent.collect(alive))
        sandboxes = {sandbox.id for sandbox in self._census.sandboxes_of(self._config.node_name)}
        for uid in (sandboxes | uids_on_disk(self._config)) - pods.keys():
            self._controller.queue.add(uid)

    async def _resync(self) -> None:
        """Look at the node's side of the pods' network often, and at everything now and then."""
        loop = asyncio.get_running_loop()
        pause = min(self._config.drift_seconds, self._config.resync_seconds)
        whole_at = loop.time() + self._config.resync_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                if loop.time() >= whole_at:
                    whole_at = loop.time() + self._config.resync_seconds
                    await self._look_again()
                else:
                    self._repair(await self._network.drifted_on_node(self._sandboxes()))
            except FabricError as error:
                log.info("node %s: resync: %s", self._config.node_name, error)

    def _sandboxes(self) -> Sequence[SandboxStatus]:
        return self._census.sandboxes_of(self._config.node_name)

    def _repair(self, drifted: frozenset[str]) -> None:
        if drifted:
            log.info("node %s: the network of %d pods has drifted", self._config.node_name, len(drifted))
        for uid in drifted:
            self._controller.queue.add(uid)

    async def _look_again(self) -> None:
        self._repair(await self._network.drifted(self._sandboxes()))
        for pod in self._pods.items():
            await self._starter.refresh(pod)
            self._controller.queue.add(uid_of(pod))


def _uids(pod: Object) -> tuple[str, ...]:
    return (uid_of(pod),)


async def _insist(ask: Callable[[], Awaitable[None]]) -> None:
    """Ask until there is no FabricError, with a delay that doubles to 10 s."""
    delay = RETRY_SECONDS
    while True:
        try:
            return await ask()
        except FabricError as error:
            log.info("%s (again in %.1f s)", error, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_SECONDS_MAX)
