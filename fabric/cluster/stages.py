"""The stages of `fabric up` watch a cluster come up from outside, by its API and its sockets.

A stage waits for a condition and reports how far it is. The components make the cluster converge; `up` only
applies what the file brings (manifests, labels and taints of nodes), and at its end reads from the cluster
whether it is as the file says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fabric.api import kinds
from fabric.api.objects import Object, condition, condition_is
from fabric.cluster import lock, manifests, node_readiness
from fabric.cluster.component_records import supervisor_pid
from fabric.cluster.node_labels import node_patch
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.pod_readiness import PodReadiness, some
from fabric.cluster.runtimes import all_connections
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.cluster.underlay.routes import FabricRoutes
from fabric.cluster.validation import served_kinds
from fabric.control.client import Client
from fabric.control.framed import FramedClient
from fabric.errors import AlreadyExists, FabricError, NotFound, StoreUnavailable
from fabric.store.remote import RemoteStore
from fabric.topology.model import Manifest

POLL_SECONDS = 0.03
POLL_SECONDS_MAX = 0.1
ROUNDS_MAX = 5
"""How often what is not as the file says is put right, before it is told."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a stage: it begins, goes on, or is done."""

    stage: str
    state: Literal["running", "done", "failed"]
    detail: str = ""
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Settled:
    """The cluster as it was read at the end of an `up`."""

    nodes: list[str]
    """Names of those that are Ready."""
    pods: list[Object]
    differences: list[str]
    """What is not as the file says, and could not be put right."""
    others_late: list[str] = field(default_factory=list)
    """Pods that are not of the file and not up, which nobody waited for."""


class StageFailed(FabricError):
    """A stage of `up` does not end; the message says what is missing, and why it stays so."""


class Settling:
    """The stages of one `up`. `network`: objects of the network section, which the plugin writes itself."""

    def __init__(
        self,
        paths: ClusterPaths,
        spec: ClusterSpec,
        brought: Sequence[Manifest],
        network: Sequence[Manifest],
        report: Report,
        *,
        seconds_max: float,
    ) -> None:
        self._paths = paths
        self._spec = spec
        self._brought = brought
        self._network_objects = network
        self._report = report
        self._seconds_max = seconds_max
        self._table = served_kinds(spec)
        self._names = frozenset(node.name for node in spec.nodes)
        self.client: Client = FramedClient(paths.components_socket)

    async def run(self) -> Settled:
        """Go through all stages; FabricError says which of them does not end."""
        try:
            return await self._run()
        except StageFailed:
            raise
        except FabricError as error:
            if why := await self._hopeless():
                raise FabricError(f"{error}; {why}") from error
            raise

    async def _run(self) -> Settled:
        await self._stage("underlay", self._underlay)
        await self._stage("store", self._store)
        await self._stage("API", self._api)
        await self._stage("nodes Ready", self._nodes)
        await self._stage("network", self._network)
        await self._manifests()
        settled = await self.settled()
        if self._spec.underlay.is_routed:
            await self._stage("fabric routes", FabricRoutes(self._paths, self._spec).look)
        return settled

    async def settled(self) -> Settled:
        """Wait until the file's pods run, put right what is not as the file says, and read what there is."""
        for left in reversed(range(ROUNDS_MAX)):
            pods, others_late = await self._pods_running()
            found = await manifests.differences(
                self.client, self._brought, self._table, self._names, {kinds.POD: pods}
            )
            late = (await node_readiness.look(self.client, self._paths, self._spec)).late
            if not (found or late) or not left:
                break
            if late:  # components that were started anew tell of nodes a moment later
                await self._stage("nodes Ready", self._nodes)
            await manifests.put(self.client, [m for m, _ in found], self._table, nodes=self._names)
        changed = await manifests.differences(self.client, self._network_objects, self._table, self._names)
        told = [f"node {name} is not Ready: {why}" for name, why in sorted(late.items())]
        told += [f"{manifest.where}: {what}" for manifest, what in (*changed, *found)]
        return Settled(sorted(self._names - set(late)), pods, told, others_late)

    async def close(self) -> None:
        await self.client.close()

    async def _stage(
        self,
        name: str,
        look: Callable[[], Awaitable[tuple[int, int, str]]],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Poll `look` (done, total, what is missing) until all is done; a refusal on the way is no end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds_max
        wait, judged = POLL_SECONDS, -POLL_SECONDS_MAX
        self._report(Progress(name, "running"))
        while True:
            try:
                done, total, missing = await look()
            except FabricError as error:
                done, total, missing = 0, 1, str(error)
            if done >= total and not missing:
                self._report(Progress(name, "done", done=done, total=total))
                return
            missing = "; ".join(filter(None, (missing, *self._paths.full_disks())))
            self._report(Progress(name, "running", missing, done, total))
            why, now = "", loop.time()
            if now - judged >= POLL_SECONDS_MAX:  # files are read for it; `look` may come more often
                why, judged = await self._hopeless(), now
            if not why and now > deadline:
                why = f"after {now - deadline + self._seconds_max:.0f} s"
            if why:
                self._report(Progress(name, "failed", missing, done, total))
                raise StageFailed(
                    f"stage {name!r} is at {done}/{total}: {missing}; {why}. "
                    f"See fabric status, and the logs in {self._paths.logs}"
                )
            await pause(wait)
            wait = min(wait * 1.3, POLL_SECONDS_MAX)

    async def _hopeless(self) -> str:
        """Say why no stage will end any more; empty while somebody works on it.

        A supervisor that is gone while another `up` or `down` is at work is judged when that has ended.
        """
        for _ in range(int(self._seconds_max / POLL_SECONDS_MAX)):
            if supervisor_pid(self._paths):
                return ""
            if not lock.is_held(self._paths.lock):
                break
            await asyncio.sleep(POLL_SECONDS_MAX)
        if supervisor_pid(self._paths):
            return ""
        if not self._paths.spec.exists():
            return f"cluster {self._paths.cluster} was taken down meanwhile"
        return "the cluster's supervisor has ended; run fabric up again, which starts another and goes on"

    async def _underlay(self) -> tuple[int, int, str]:
        wanted = set(wanted_hosts(self._spec))
        alive: set[str] = set()
        async with all_connections(self._paths, self._spec.workers) as runtimes:
            for runtime in runtimes:
                alive |= set(await runtime.nodes())
        missing = sorted(wanted - alive)
        extra = sorted(alive - wanted)
        text = some("not powered on", missing) or some("not powered off", extra)
        return len(wanted & alive), len(wanted), text

    async def _store(self) -> tuple[int, int, str]:
        store = RemoteStore(self._paths.store_socket)
        try:
            await store.revision()
        except StoreUnavailable as error:
            return 0, 1, str(error)
        finally:
            await store.close()
        return 1, 1, ""

    async def _api(self) -> tuple[int, int, str]:
        await self.client.get(kinds.NAMESPACE, "default")
        return (1, 1, "") if self._paths.kubeconfig.exists() else (0, 1, "no kubeconfig yet")

    async def _nodes(self) -> tuple[int, int, str]:
        """Nodes are Ready, with the labels and taints of the file, and those that left it are gone."""
        found = await node_readiness.look(self.client, self._paths, self._spec)
        late = sorted(found.late)
        text = f"{some('not Ready', late)} ({found.late[late[0]]})" if late else ""
        text = text or some("still there", sorted(set(found.nodes) - self._names))
        if not text:
            for entry in self._spec.nodes:
                if (patch := node_patch(found.nodes[entry.name], entry)) is not None:
                    await self.client.patch(kinds.NODE, entry.name, patch)
        return len(self._names) - len(late), len(self._names), text

    async def _network(self) -> tuple[int, int, str]:
        await self._restore_network_objects()
        nodes = (await self.client.list(kinds.NODE)).items
        late = [node for node in nodes if not condition_is(node, "NetworkUnavailable", "False")]
        why = (condition(late[0], "NetworkUnavailable") or {}).get("message", "") if late else ""
        return len(nodes) - len(late), len(nodes), f"{late[0]['metadata']['name']}: {why}" if late else ""

    async def _restore_network_objects(self) -> None:
        """Make those again that somebody deleted; the plugin writes them once, when the cluster is new."""
        for kind, manifest in manifests.in_order(self._network_objects, self._table):
            key = manifests.key_in(kind, manifest.object)
            try:
                await self.client.get(kind, key.name, key.namespace)
            except NotFound:
                with contextlib.suppress(AlreadyExists):
                    await self.client.create(kind, manifest.object, namespace=key.namespace)

    async def _pods_running(self) -> tuple[list[Object], list[str]]:
        """Return all pods once those of the file run, and of the others what is to be told."""
        coming = PodReadiness(self.client, self._paths, self._spec, self._brought)
        following = asyncio.ensure_future(coming.run())
        try:
            await coming.synced()
            await self._stage("pods Running", coming.look, coming.pause)
        finally:
            following.cancel()
            await asyncio.wait([following])
        return coming.pods(), coming.others_late()

    async def _manifests(self) -> None:
        def applied(done: int, total: int) -> None:
            self._report(Progress("manifests", "running", done=done, total=total))

        total = len(self._brought)
        self._report(Progress("manifests", "running", total=total))
        try:
            await manifests.apply(self.client, self._brought, self._table, applied, nodes=self._names)
        except FabricError as error:
            self._report(Progress("manifests", "failed", str(error)))
            raise
        self._report(Progress("manifests", "done", done=total, total=total))
