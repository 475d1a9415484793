"""The scheduler: pending pods in, bindings out.

Informers keep the cluster's state and the queue up to date. One pod after the other is placed, assumed on
its node, and bound in the background, a bounded number at once, so that a placement never waits
for the API. A pod that fits nowhere says so in its PodScheduled condition and in an event, and is
tried again when the cluster changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

from fabric.api.kinds import NAMESPACE, NODE, POD
from fabric.api.objects import Key, Object, condition, is_deleting, labels_of, observed, timestamp, uid_of
from fabric.control import parking
from fabric.control.backoff import Backoff
from fabric.control.client import STRATEGIC, Client
from fabric.control.clock import Clock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.errors import FabricError, NotFound
from fabric.scheduler.framework import ClusterState
from fabric.scheduler.placement import place
from fabric.scheduler.podinfo import PodInfo, pod_info
from fabric.scheduler.queue import SchedulingQueue

NAME = "default-scheduler"
WRITES_MAX = 32
"""Bindings and status writes in flight."""
LOOKS = Backoff(0.1, 10.0)
TERMINAL = ("Succeeded", "Failed")

log = logging.getLogger(__name__)


class Scheduler:
    """A scheduler for the pods whose schedulerName is empty or `default-scheduler`."""

    def __init__(self, client: Client, informers: Informers, recorder: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._cluster = ClusterState()
        self._queue = SchedulingQueue()
        self._room = asyncio.Semaphore(WRITES_MAX)
        self._pods = informers.of(POD)
        self._nodes = informers.of(NODE)
        self._namespaces = informers.of(NAMESPACE)

    async def run(self) -> None:
        """Schedule for ever, from the first complete view of the cluster on."""
        self._namespaces.on_change(self._namespace_changed)
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(self._pod_changed)
        for informer in (self._namespaces, self._nodes, self._pods):
            await informer.synced()
        async with asyncio.TaskGroup() as writes:
            while True:
                pod = await self._queue.get()
                with self._parked_after_a_bug(pod):
                    await self._schedule(pod, writes)

    async def _schedule(self, pod: PodInfo, writes: asyncio.TaskGroup) -> None:
        if self._cluster.pod(pod.key) is not None:
            return  # changed while its binding is on its way: what comes of that decides
        placement = place(pod, self._cluster)
        if placement.node:
            self._cluster.assume(pod, placement.node)
            await self._start(writes, pod, self._bind(pod, placement.node))
        else:
            self._queue.add_unschedulable(pod)
            await self._start(writes, pod, self._say_unschedulable(pod, placement.message))

    async def _start(
        self, writes: asyncio.TaskGroup, pod: PodInfo, write: Coroutine[None, None, None]
    ) -> None:
        """Run it in the background once there is room."""
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            write.close()
            raise
        writes.create_task(self._guarded(pod, write)).add_done_callback(lambda _: self._room.release())

    async def _guarded(self, pod: PodInfo, write: Coroutine[None, None, None]) -> None:
        with self._parked_after_a_bug(pod):
            await write

    @contextmanager
    def _parked_after_a_bug(self, pod: PodInfo) -> Iterator[None]:
        """Set the pod aside, until it changes or for long, when it brings about an unexpected exception."""
        try:
            yield
        except Exception as bug:
            seconds = self._queue.park(pod)
            parking.park(log, "scheduler", pod.key, bug, seconds)
            self._cluster.forget(pod)
            self._say(pod, "Warning", "FailedScheduling", f"a bug in fabric: {type(bug).__name__}: {bug}")

    async def _bind(self, pod: PodInfo, node: str) -> None:
        namespace, name = pod.key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create(POD, binding, namespace=namespace, subresource="binding")
        except FabricError as error:
            if await self._is_bound(pod, node):
                self._tell_bound(pod, node)
                return
            log.info("binding of %s to %s: %s", pod.key, node, error)
            self._cluster.forget(pod)
            self._queue.retry(pod)
            self._say(pod, "Warning", "FailedScheduling", f"binding rejected: {error}")
        else:
            self._tell_bound(pod, node)

    async def _is_bound(self, pod: PodInfo, node: str) -> bool:
        """Ask until the server answers; the pod counts till then, as only the answer may have been lost."""
        namespace, name = pod.key
        failures = 0
        while True:
            try:
                found = await self._client.get(POD, name, namespace)
            except NotFound:
                return False
            except FabricError as error:
                failures += 1
                log.info("is %s bound to %s? %s", pod.key, node, error)
                await asyncio.sleep(LOOKS.seconds(failures))
            else:
                return uid_of(found) == pod.uid and found["spec"].get("nodeName") == node

    def _tell_bound(self, pod: PodInfo, node: str) -> None:
        self._queue.remove(pod.key, pod.uid)
        self._say(pod, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}")

    async def _say_unschedulable(self, pod: PodInfo, message: str) -> None:
        self._say(pod, "Warning", "FailedScheduling", message)
        obj = self._pods.get(pod.key)
        if obj is None or _already_says(obj, message):
            return
        unscheduled = _unschedulable(obj, message, timestamp(self._clock.now()))
        namespace, name = pod.key
        try:
            await self._client.patch(
                POD,
                name,
                {"metadata": {"uid": pod.uid}, "status": {"conditions": [unscheduled]}},
                namespace=namespace,
                subresource="status",
                patch_type=STRATEGIC,
            )
        except FabricError as error:
            log.info("status of %s: %s", pod.key, error)

    def _say(self, pod: PodInfo, type_: str, reason: str, message: str) -> None:
        obj = self._pods.get(pod.key)
        if obj is not None:
            self._recorder.event({**obj, "apiVersion": "v1", "kind": POD.kind}, type_, reason, message)

    def _namespace_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        labels = labels_of(new) if new else {}
        if new and self._cluster.namespaces.get(key.name) == labels:
            return
        if new:
            self._cluster.namespaces[key.name] = labels
        else:
            self._cluster.namespaces.pop(key.name, None)
        self._queue.cluster_changed(lambda pod: pod.looks_at_pods)

    def _node_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if self._cluster.set_node(key.name, new):
            self._queue.cluster_changed()

    def _pod_changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        if old and new and _same_for_scheduling(old, new):
            return
        if new is None or (new.get("status") or {}).get("phase") in TERMINAL:
            self._queue.remove(key)
            if self._cluster.remove_pod(key):
                self._queue.cluster_changed()
            return
        pod = pod_info(new)
        if self._cluster.set_pod(pod):
            self._queue.cluster_changed(lambda waiting: waiting.looks_at_pods)
        if not pod.node and _is_ours(new):
            self._queue.put(pod)
        else:
            self._queue.remove(key)


def _is_ours(pod: Object) -> bool:
    spec = pod["spec"]
    mine = spec.get("schedulerName") in (None, "", NAME)
    return mine and not is_deleting(pod) and not spec.get("schedulingGates")


def _same_for_scheduling(old: Object, new: Object) -> bool:
    """True when only what scheduling does not read has changed: status, annotations."""
    return (
        old["spec"] == new["spec"]
        and labels_of(old) == labels_of(new)
        and is_deleting(old) == is_deleting(new)
        and (new.get("status") or {}).get("phase") not in TERMINAL
    )


def _already_says(pod: Object, message: str) -> bool:
    found = condition(pod, "PodScheduled") or {}
    return found.get("reason") == "Unschedulable" and found.get("message") == message


def _unschedulable(pod: Object, message: str, now: str) -> Object:
    """The condition; its time moves only when its status changes."""
    before = condition(pod, "PodScheduled") or {}
    since = before.get("lastTransitionTime") if before.get("status") == "False" else None
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": since or now,
    }
    return observed(pod, unscheduled)
