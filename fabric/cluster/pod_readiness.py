"""Pods are waited for by a watch: a change costs its pod, and not a look at all of them.

`up` waits for the pods of its file: those of its manifests, those that an earlier file brought and that are
on their way out, and those that an object of the file owns. Others may come up, or not, in their own time.
A pod of the file that is not there, or is bound to a node that left the file, is made again on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from fabric.api import kinds
from fabric.api.kinds import Kind
from fabric.api.objects import Key, Object, annotations_of, condition_is, is_deleting, key_of, uid_of
from fabric.cluster import manifests
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import sandbox_pids
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.validation import served_kinds
from fabric.control.client import Client
from fabric.control.informer import Informer
from fabric.topology.model import Manifest

GATHER_SECONDS = 0.01
"""Changes of so long a time are looked at together."""


class PodReadiness:
    """The pods of a cluster, until each of the file's is up. Run `run` beside the other methods."""

    def __init__(
        self, client: Client, paths: ClusterPaths, spec: ClusterSpec, brought: Sequence[Manifest]
    ) -> None:
        self._client = client
        self._paths = paths
        self._workers = spec.workers
        self._nodes = frozenset(node.name for node in spec.nodes)
        self._table = served_kinds(spec)
        mine = manifests.in_order(brought, self._table)
        self._wanted = {manifests.key_in(kind, m.object): m for kind, m in mine if kind == kinds.POD}
        self._owners = {_reference(kind, manifests.key_in(kind, m.object)) for kind, m in mine}
        self._mine: set[Key] = set()
        self._late: dict[Key, Object] = {}
        self._others_late: dict[Key, Object] = {}
        self._stranded: dict[Key, Manifest] = {}
        """Those of the manifests that are bound to a node which left it."""
        self._changed = asyncio.Event()
        self._informer = Informer(client, kinds.POD)
        self._informer.on_change(self._note)

    async def run(self) -> None:
        await self._informer.run()

    async def synced(self) -> None:
        await self._informer.synced()

    def pods(self) -> list[Object]:
        """All pods by namespace and name, pod-2 before pod-10."""
        return sorted(self._informer.items(), key=_in_order)

    def others_late(self) -> list[str]:
        """The pods that are not of the file and not up, each as a sentence."""
        late = sorted(self._others_late.values(), key=_in_order)
        return [f"pod {key_of(pod)} is not up, and not of the file: {why_not_up(pod)}" for pod in late]

    async def pause(self, seconds: float) -> None:
        """Wait until a pod changed, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()
        await asyncio.sleep(GATHER_SECONDS)

    async def look(self) -> tuple[int, int, str]:
        """Return (pods of the file that are up, pods of the file, what is missing).

        Once all are up by the API, runtimes are asked: a node that just died is known there first.
        """
        total = len(self._mine)
        if self._late:
            first = next(iter(self._late.values()))
            text = f"{first['metadata']['name']}: {why_not_up(first).rstrip('.')}"
            more = f", and {len(self._late) - 1} more" if len(self._late) > 1 else ""
            await self._put_again(list(self._stranded.values()))
            return total - len(self._late), total, text + more
        lost = [m for key, m in self._wanted.items() if self._informer.get(key) is None]
        if lost:
            await self._put_again(lost)
            return total - len(lost), total, some("made again", [m.object["metadata"]["name"] for m in lost])
        alive = await sandbox_pids(self._paths, self._workers)
        pods = [pod for pod in self._informer.items() if key_of(pod) in self._mine]
        running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
        gone = [pod["metadata"]["name"] for pod in running if uid_of(pod) not in alive]
        return total - len(gone), total, some("ended, and is started again", gone)

    async def _put_again(self, lost: Sequence[Manifest]) -> None:
        if lost:
            await manifests.put(self._client, lost, self._table, nodes=self._nodes)

    def _note(self, key: Key, old: Object | None, new: Object | None) -> None:
        self._late.pop(key, None)
        self._others_late.pop(key, None)
        self._mine.discard(key)
        self._stranded.pop(key, None)
        if new is not None:
            is_mine = self._is_of_the_file(key, new)
            if is_mine:
                self._mine.add(key)
            is_stranded = manifests.is_stranded(kinds.POD, new, self._nodes)
            if is_stranded and key in self._wanted:
                self._stranded[key] = self._wanted[key]
            if is_stranded or not is_up(new):
                (self._late if is_mine else self._others_late)[key] = new
        self._changed.set()

    def _is_of_the_file(self, key: Key, pod: Object) -> bool:
        if key in self._wanted or manifests.LAST_APPLIED in annotations_of(pod):
            return True
        owners = pod["metadata"].get("ownerReferences") or ()
        return any(
            (owner.get("apiVersion"), owner.get("kind"), namespace, owner.get("name")) in self._owners
            for owner in owners
            for namespace in ("", key.namespace)
        )


def _reference(kind: Kind, key: Key) -> tuple[str, str, str, str]:
    """An object as an owner reference names it, and its namespace, which is its owner's."""
    return kind.api_version, kind.kind, key.namespace, key.name


def _in_order(pod: Object) -> tuple[str, str, int, str]:
    namespace, name = key_of(pod)
    stem, _, number = name.rpartition("-")
    return (namespace, stem, int(number), name) if number.isdigit() else (namespace, name, 0, name)


def some(what: str, names: Sequence[str]) -> str:
    """`what: a, b, c and 2 more`, or nothing when there are no names."""
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}: {', '.join(names[:3])}{more}"


def is_up(pod: Object) -> bool:
    """True for a pod that is Ready, or that has done its work."""
    phase = (pod.get("status") or {}).get("phase")
    return not is_deleting(pod) and (phase == "Succeeded" or condition_is(pod, "Ready"))


def why_not_up(pod: Object) -> str:
    """The first reason that the pod's status gives: waiting containers, or conditions that are not true."""
    if is_deleting(pod):
        return "being deleted"
    status: dict[str, Any] = pod.get("status") or {}
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return f"{waiting.get('reason', 'waiting')} {waiting.get('message', '')}".strip()
    for found in status.get("conditions", ()):
        if found.get("status") != "True" and found.get("message"):
            return str(found["message"])
    phase = str(status.get("phase", "Pending"))
    return f"{phase}, but not Ready" if phase == "Running" else phase
