"""The taint eviction controller deletes pods that do not tolerate a NoExecute taint, or not any longer.

The time of leaving is computed from the taint's and the pod's own time stamps: taints that go, and
tolerations that come, are seen at the next look. What is kept here is who waits to leave, for the event
that tells of it when it need not.
"""

from __future__ import annotations

from fabric.api.kinds import NODE, POD
from fabric.api.objects import Key, Object, condition, is_deleting, key_of, uid_of
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.controllers.pods import PODS_BY_NODE, disruption, node_name, node_names, patch_pod_status
from fabric.controllers.taints import eviction_time, same_taints, taints_of
from fabric.errors import Conflict, NotFound


class TaintEvictionController:
    """A controller of evictions, keyed by the pod."""

    def __init__(self, client: Client, informers: Informers, recorder: Events, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._nodes = informers.of(NODE)
        self._pods = informers.of(POD)
        self._pods.add_index(PODS_BY_NODE, node_names)
        self._scheduled: set[Key] = set()
        """Pods that are to leave at a later time."""
        self._controller: Controller[Key] = Controller(
            "evictions", self.reconcile, workers=8, on_park=parked.tell(recorder, self._pods)
        )
        self._pods.on_change(self._note_pod)
        self._nodes.on_change(self._note_node)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or not node_name(pod):
            return
        node = self._nodes.get(Key("", node_name(pod)))
        if node is None:
            return
        now = self._clock.now()
        leaves_at = eviction_time(pod, node, now)
        if leaves_at is None:
            self._cancel(key, pod)
        elif leaves_at > now:
            self._scheduled.add(key)
            self._controller.queue.add_after(key, (leaves_at - now).total_seconds())
        else:
            self._scheduled.discard(key)
            await self._evict(pod)

    def _note_pod(self, key: Key, old: Object | None, new: Object | None) -> None:
        """A pod is looked at when its node has such taints; a change of these names all pods of the node."""
        if new is None:
            self._cancel(key, old)
            return
        node = self._nodes.get(Key("", node_name(new)))
        if node is not None and any(taint.get("effect") == "NoExecute" for taint in taints_of(node)):
            self._controller.queue.add(key)

    def _note_node(self, key: Key, old: Object | None, new: Object | None) -> None:
        if same_taints(taints_of(old or {}), taints_of(new or {})):
            return
        for pod in self._pods.by_index(PODS_BY_NODE, key.name):
            self._controller.queue.add(key_of(pod))

    def _cancel(self, key: Key, pod: Object | None) -> None:
        """Forget that the pod was to leave, and tell of it: it may stay, or is gone before its time."""
        if pod is not None and key in self._scheduled:
            self._scheduled.discard(key)
            self._recorder.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")

    async def _evict(self, pod: Object) -> None:
        namespace, name = key_of(pod)
        message = "Taint manager: deleting due to NoExecute taint"
        why = disruption(pod, "DeletionByTaintManager", message, self._clock.now())
        try:
            if condition(pod, "DisruptionTarget") is None:
                await patch_pod_status(self._client, pod, {"conditions": [why]})
            await self._client.delete(POD, name, namespace, uid=uid_of(pod))
        except (NotFound, Conflict):
            return  # gone, or another pod of that name: its own event names the key again
        self._recorder.event(
            pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}"
        )
