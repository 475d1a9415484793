"""Watching a cluster come up, stage by stage, from outside: by its API and its sockets.

A stage waits for a condition and reports how far it is. Nothing here makes the cluster converge, except
that the manifests are applied; killing `up` loses only the report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from fabric.api import kinds
from fabric.api.objects import Object, condition, condition_is, key_of, uid_of
from fabric.cluster import manifests
from fabric.cluster.fabric_routes import FabricRoutes
from fabric.cluster.hosts import wanted_hosts
from fabric.cluster.kinds import of_cluster
from fabric.cluster.places import Places
from fabric.cluster.readiness import is_up, why_not_up
from fabric.cluster.runtimes import all_connections, sandbox_pids
from fabric.cluster.spec import ClusterSpec
from fabric.control.client import Client
from fabric.control.http import HttpClient
from fabric.control.informer import Informer
from fabric.errors import FabricError, StoreUnavailable
from fabric.store.remote import RemoteStore
from fabric.topology.model import Manifest

POLL_SECONDS = 0.03
POLL_SECONDS_MAX = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of `up`: a stage begins, goes on, or is done."""

    stage: str
    state: Literal["running", "done", "failed"]
    detail: str = ""
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


class Settling:
    """The stages of one `up`."""

    def __init__(self, places: Places, spec: ClusterSpec, report: Report, *, seconds_max: float) -> None:
        self._places = places
        self._spec = spec
        self._report = report
        self._seconds_max = seconds_max
        self.client: Client = HttpClient.unix(places.api_socket)

    async def run(self, brought: Sequence[Manifest]) -> list[Object]:
        """Go through all stages; return the pods, all Running. FabricError says which stage does not end."""
        await self._stage("underlay", self._underlay)
        await self._stage("store", self._store)
        await self._stage("API", self._api)
        await self._stage("nodes Ready", self._nodes)
        await self._stage("network", self._network)
        await self._manifests(brought)
        pods = await self.pods()
        if self._spec.underlay.is_routed:
            await self._stage("fabric routes", FabricRoutes(self._places, self._spec).look)
        return pods

    async def pods(self) -> list[Object]:
        """Wait until all pods are Running, and return them."""
        pods = Informer(self.client, kinds.POD)
        following = asyncio.ensure_future(pods.run())
        try:
            await pods.synced()
            await self._stage("pods Running", lambda: self._pods(pods))
        finally:
            following.cancel()
            await asyncio.wait([following])
        return sorted(pods.items(), key=_in_order)

    async def close(self) -> None:
        await self.client.close()

    async def _stage(self, name: str, look: Callable[[], Awaitable[tuple[int, int, str]]]) -> None:
        """Poll `look` (done, total, what is missing) until all is done; a refusal on the way is no end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds_max
        wait = POLL_SECONDS
        self._report(Progress(name, "running"))
        while True:
            try:
                done, total, missing = await look()
            except FabricError as error:
                done, total, missing = 0, 1, str(error)
            if done >= total and not missing:
                self._report(Progress(name, "done", done=done, total=total))
                return
            self._report(Progress(name, "running", missing, done, total))
            if loop.time() > deadline:
                self._report(Progress(name, "failed", missing, done, total))
                raise FabricError(
                    f"stage {name!r} is at {done}/{total} after {self._seconds_max:.0f} s: {missing}. "
                    f"See fabric status, and the logs in {self._places.logs}"
                )
            await asyncio.sleep(wait)
            wait = min(wait * 1.3, POLL_SECONDS_MAX)

    async def _underlay(self) -> tuple[int, int, str]:
        wanted = set(wanted_hosts(self._spec))
        alive: set[str] = set()
        async with all_connections(self._places, self._spec.workers) as runtimes:
            for runtime in runtimes:
                alive |= set(await runtime.nodes())
        missing = sorted(wanted - alive)
        extra = sorted(alive - wanted)
        text = _some("not powered on", missing) or _some("not powered off", extra)
        return len(wanted & alive), len(wanted), text

    async def _store(self) -> tuple[int, int, str]:
        async with _closing(RemoteStore(self._places.store_socket)) as store:
            try:
                await store.revision()
            except StoreUnavailable as error:
                return 0, 1, str(error)
        return 1, 1, ""

    async def _api(self) -> tuple[int, int, str]:
        await self.client.get(kinds.NAMESPACE, "default")
        return (1, 1, "") if self._places.kubeconfig.exists() else (0, 1, "no kubeconfig yet")

    async def _nodes(self) -> tuple[int, int, str]:
        wanted = {node.name for node in self._spec.nodes}
        nodes = {node["metadata"]["name"]: node for node in (await self.client.list(kinds.NODE)).items}
        ready = {name for name, node in nodes.items() if name in wanted and condition_is(node, "Ready")}
        missing = sorted(wanted - ready)
        text = _some("not Ready", missing)
        if missing and missing[0] in nodes:
            text += f" ({(condition(nodes[missing[0]], 'Ready') or {}).get('message', 'no condition yet')})"
        return len(ready), len(wanted), text or _some("still there", sorted(set(nodes) - wanted))

    async def _network(self) -> tuple[int, int, str]:
        nodes = (await self.client.list(kinds.NODE)).items
        late = [node for node in nodes if not condition_is(node, "NetworkUnavailable", "False")]
        why = (condition(late[0], "NetworkUnavailable") or {}).get("message", "") if late else ""
        return len(nodes) - len(late), len(nodes), f"{late[0]['metadata']['name']}: {why}" if late else ""

    async def _pods(self, found: Informer) -> tuple[int, int, str]:
        """Once all are up by the API, runtimes are asked: a node that just died is known there first."""
        pods = list(found.items())
        done, total, missing = _pods(pods)
        if missing:
            return done, total, missing
        alive = await sandbox_pids(self._places, self._spec.workers)
        running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
        gone = [pod["metadata"]["name"] for pod in running if uid_of(pod) not in alive]
        return total - len(gone), total, _some("ended, and is started again", gone)

    async def _manifests(self, brought: Sequence[Manifest]) -> None:
        def applied(done: int, total: int) -> None:
            self._report(Progress("manifests", "running", done=done, total=total))

        self._report(Progress("manifests", "running", total=len(brought)))
        try:
            await manifests.apply(self.client, brought, of_cluster(self._spec), applied)
        except FabricError as error:
            self._report(Progress("manifests", "failed", str(error)))
            raise
        self._report(Progress("manifests", "done", done=len(brought), total=len(brought)))


def _pods(found: Iterable[Object]) -> tuple[int, int, str]:
    pods = list(found)
    late = [pod for pod in pods if not is_up(pod)]
    text = f"{late[0]['metadata']['name']}: {why_not_up(late[0])}" if late else ""
    if late and len(late) > 1:
        text += f", and {len(late) - 1} more"
    return len(pods) - len(late), len(pods), text


def _in_order(pod: Object) -> tuple[str, str, int, str]:
    """By namespace, and pod-2 before pod-10."""
    namespace, name = key_of(pod)
    stem, _, number = name.rpartition("-")
    return (namespace, stem, int(number), name) if number.isdigit() else (namespace, name, 0, name)


def _some(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}: {', '.join(names[:3])}{more}"


@asynccontextmanager
async def _closing(thing: Any) -> Any:
    try:
        yield thing
    finally:
        await thing.close()
