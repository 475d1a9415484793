"""The pod garbage controllers remove pods that no kubelet will, and terminated ones beyond a number.

Three kinds are removed at once: a pod whose node is gone (after a quarantine, and a look at the server
itself), a deleted pod that was never bound, and a deleted pod on a node that is out of service. Of the
pods that have ended, only so many are kept for the user to look at; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Iterable

from fabric.api.kinds import NODE, POD
from fabric.api.objects import Key, Object, condition_is, is_deleting, key_of
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.controllers.pods import (
    PODS_BY_NODE,
    disruption,
    is_terminated,
    node_name,
    node_names,
    patch_pod_status,
    remove_pod,
)
from fabric.controllers.taints import OUT_OF_SERVICE, taints_of
from fabric.errors import Conflict, NotFound

_INDEX = "terminated pods, for the controllers"
_ALL = "terminated"
"""The one key of this controller: all terminated pods of the cluster."""


class PodGCController:
    """A controller that removes pods without a node, keyed by the pod."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: Events,
        clock: Clock,
        *,
        quarantine_seconds: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._quarantine_seconds = quarantine_seconds
        self._missing_since: dict[str, float] = {}
        self._nodes = informers.of(NODE)
        self._pods = informers.of(POD)
        self._pods.add_index(PODS_BY_NODE, node_names)
        self._controller: Controller[Key] = Controller(
            "pod-gc", self.reconcile, workers=8, on_park=parked.tell(recorder, self._pods)
        )
        self._pods.on_change(self._note_pod)
        self._nodes.on_change(self._note_node)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None:
            return
        name = node_name(pod)
        if not name:
            if is_deleting(pod):
                await remove_pod(self._client, pod)
            return
        node = self._nodes.get(Key("", name))
        if node is None:
            await self._remove_orphan(pod, name)
        elif is_deleting(pod) and _is_out_of_service(node):
            await self._fail(pod, "PodGC: node is out of service")
            await remove_pod(self._client, pod)

    def _note_pod(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None and self._is_lost(new):
            self._controller.queue.add(key)
        before = node_name(old) if old is not None else ""
        if before in self._missing_since and not self._pods.count(PODS_BY_NODE, before):
            del self._missing_since[before]

    def _is_lost(self, pod: Object) -> bool:
        """True when the pod's own state calls for a look; a node's change names all of its pods."""
        node = self._nodes.get(Key("", node_name(pod)))
        if not node_name(pod) or node is not None:
            return is_deleting(pod) and (node is None or _is_out_of_service(node))
        return True

    def _note_node(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._missing_since.pop(key.name, None)
        if new is None or _is_out_of_service(new):
            for pod in self._pods.by_index(PODS_BY_NODE, key.name):
                self._controller.queue.add(key_of(pod))

    async def _remove_orphan(self, pod: Object, node: str) -> None:
        now = self._clock.now().timestamp()
        waited = now - self._missing_since.setdefault(node, now)
        if waited < self._quarantine_seconds:
            self._controller.queue.add_after(key_of(pod), self._quarantine_seconds - waited)
            return
        try:
            await self._client.get(NODE, node)
        except NotFound:
            await self._fail(pod, "PodGC: node no longer exists")
            await remove_pod(self._client, pod)
        else:
            self._controller.queue.add_after(key_of(pod), self._quarantine_seconds)

    async def _fail(self, pod: Object, message: str) -> None:
        """Mark the pod Failed before it goes, so that watchers see why."""
        if is_terminated(pod):
            return
        why = disruption(pod, "DeletionByPodGC", message, self._clock.now())
        try:
            await patch_pod_status(self._client, pod, {"phase": "Failed", "conditions": [why]})
        except (NotFound, Conflict):
            return


class TerminatedPodController:
    """A controller that keeps at most `kept_max` terminated pods, with a single key for all."""

    def __init__(self, client: Client, informers: Informers, *, kept_max: int) -> None:
        self._client = client
        self._kept_max = kept_max
        self._pods = informers.of(POD)
        self._pods.add_index(_INDEX, _terminated)
        self._controller: Controller[str] = Controller("terminated-pods", self.reconcile)
        self._pods.on_change(self._note)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, key: str) -> None:
        pods = [pod for pod in self._pods.by_index(_INDEX, _ALL) if not is_deleting(pod)]
        pods.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), key_of(pod)))
        for pod in pods[: max(0, len(pods) - self._kept_max)]:
            await remove_pod(self._client, pod)

    def _note(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None and is_terminated(new) and self._pods.count(_INDEX, _ALL) > self._kept_max:
            self._controller.queue.add(_ALL)


def _is_out_of_service(node: Object) -> bool:
    marked = any(taint.get("key") == OUT_OF_SERVICE for taint in taints_of(node))
    return marked and not condition_is(node, "Ready")


def _terminated(pod: Object) -> Iterable[str]:
    return (_ALL,) if is_terminated(pod) else ()
