"""The node lifecycle controller marks silent nodes Unknown, and keeps taints in line with conditions.

A node lives as long as its lease is renewed or its status is posted. One that was silent for the grace
period gets Ready, and the pressures, as Unknown; from then on its pods are not ready, and the
taint `unreachable` lets the eviction controller take them away. When the kubelet posts again, all of
it is taken back. Before a node is declared silent its lease is read from the server itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime

from fabric.api.kinds import LEASE, NODE, POD
from fabric.api.objects import (
    Key,
    Object,
    condition,
    condition_is,
    observed,
    resource_version_of,
    timestamp,
    uid_of,
)
from fabric.control.client import MERGE, STRATEGIC, Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.controllers.pods import node_name, patch_pod_status
from fabric.controllers.taints import desired_taints, same_taints, taints_of
from fabric.errors import NotFound, ServerUnavailable

LEASE_NAMESPACE = "kube-node-lease"
READY_PODS = "ready pods by node, for the controllers"
_POSTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")


@dataclass(frozen=True, slots=True)
class GracePeriods:
    """The time that a node may be silent before it is Unknown, in seconds."""

    grace_seconds: float = 40.0
    startup_grace_seconds: float = 60.0
    """For a node that has not posted a status yet."""


class NodeLifecycleController:
    """A controller of conditions and taints, keyed by the node's name."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: Events,
        clock: Clock,
        grace: GracePeriods,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._grace = grace
        self._heartbeats = Heartbeats()
        self._known: dict[str, Object] = {}
        """The nodes that were told of as registered, as events name them."""
        self._nodes = informers.of(NODE)
        self._leases = informers.of(LEASE)
        self._pods = informers.of(POD)
        self._pods.add_index(READY_PODS, _nodes_of_ready_pods)
        self._controller: Controller[str] = Controller(
            "nodes", self.reconcile, workers=8, on_park=parked.tell(recorder, self._nodes)
        )
        self._nodes.on_change(lambda key, old, new: self._controller.queue.add(key.name))
        self._leases.on_change(self._note_lease)
        self._pods.on_change(self._note_pod)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, name: str) -> None:
        node = self._nodes.get(Key("", name))
        self._tell_of_node(name, node)
        if node is None:
            self._heartbeats.forget(name)
            return
        if await self._is_overdue(node):
            node = await self._mark_unknown(node)
        await self._keep_taints(node)
        if condition_is(node, "Ready", "Unknown"):
            await self._mark_pods(name)

    def _tell_of_node(self, name: str, node: Object | None) -> None:
        """Say when a node comes and when it goes, as kube-controller-manager does: once for each run."""
        if node is not None and name not in self._known:
            meta = {"name": name, "uid": uid_of(node)}
            ref = self._known[name] = {"apiVersion": "v1", "kind": NODE.kind, "metadata": meta}
            what = f"Node {name} event: Registered Node {name} in Controller"
            self._recorder.event(ref, "Normal", "RegisteredNode", what)
        elif node is None and name in self._known:
            what = f"Node {name} event: Removing Node {name} from Controller"
            self._recorder.event(self._known.pop(name), "Normal", "RemovingNode", what)

    def _note_lease(self, key: Key, old: Object | None, new: Object | None) -> None:
        if key.namespace == LEASE_NAMESPACE:
            self._controller.queue.add(key.name)

    def _note_pod(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is None or not condition_is(new, "Ready") or condition_is(old or {}, "Ready"):
            return
        node = self._nodes.get(Key("", node_name(new)))
        if node is not None and condition_is(node, "Ready", "Unknown"):
            self._controller.queue.add(node_name(new))

    async def _is_overdue(self, node: Object) -> bool:
        """True when the grace is over; else the node is looked at again when it will be."""
        name, now = node["metadata"]["name"], self._clock.now()
        posted = condition(node, "Ready") is not None
        grace = self._grace.grace_seconds if posted else self._grace.startup_grace_seconds
        lease = self._leases.get(Key(LEASE_NAMESPACE, name))
        silent = self._heartbeats.silent_seconds(node, lease, now)
        if silent >= grace:
            silent = self._heartbeats.silent_seconds(node, await self._fresh_lease(name), now)
        if silent < grace:
            self._controller.queue.add_after(name, grace - silent)
        return silent >= grace

    async def _fresh_lease(self, name: str) -> Object | None:
        try:
            return await self._client.get(LEASE, name, LEASE_NAMESPACE)
        except NotFound:
            return None
        except ServerUnavailable:
            self._heartbeats.forget(name)
            raise

    async def _mark_unknown(self, node: Object) -> Object:
        now = timestamp(self._clock.now())
        changed = [c for type_ in _POSTED if (c := _unknown(node, type_, now)) is not None]
        if not changed:
            return node
        # The kubelet may have posted since: its word wins, so the patch is for this version only.
        patched = await self._client.patch(
            NODE,
            node["metadata"]["name"],
            {
                "metadata": {"resourceVersion": resource_version_of(node)},
                "status": {"conditions": changed},
            },
            subresource="status",
            patch_type=STRATEGIC,
        )
        if condition_is(node, "Ready"):
            name = node["metadata"]["name"]
            self._recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        return patched

    async def _keep_taints(self, node: Object) -> None:
        desired = desired_taints(node, self._clock.now())
        if same_taints(desired, taints_of(node)):
            return
        version = {"resourceVersion": resource_version_of(node)}
        change = {"metadata": version, "spec": {"taints": desired}}
        await self._client.patch(NODE, node["metadata"]["name"], change, patch_type=MERGE)

    async def _mark_pods(self, name: str) -> None:
        """Say of each pod of a silent node that it is not ready; nobody else there can."""
        for pod in self._pods.by_index(READY_PODS, name):
            unready = {
                "type": "Ready",
                "status": "False",
                "reason": "NodeNotReady",
                "lastTransitionTime": timestamp(self._clock.now()),
            }
            try:
                await patch_pod_status(self._client, pod, {"conditions": [observed(pod, unready)]})
            except NotFound:
                continue
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def _nodes_of_ready_pods(pod: Object) -> Iterable[str]:
    """The index function: the node of a ready pod."""
    return (node_name(pod),) if condition_is(pod, "Ready") else ()


def _unknown(node: Object, type_: str, now: str) -> Object | None:
    """The condition as Unknown, or None when it is so already."""
    old = condition(node, type_)
    if old is not None and old.get("status") == "Unknown":
        return None
    reason, message = _NEVER if old is None else _STOPPED
    unknown = {
        "type": type_,
        "status": "Unknown",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
    if old is None:
        created = node["metadata"].get("creationTimestamp")
        return unknown | ({"lastHeartbeatTime": created} if created else {})
    return unknown


class Heartbeats:
    """The last sign of life of each node, by name, timed by the controller's own clock.

    A node's clock may be wrong, so its time stamps are not compared with ours: what counts is when the
    controller last saw one of them change. After a start, and after a time in which the server could
    not be heard, every node is given its time anew.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[Hashable, datetime]] = {}

    def silent_seconds(self, node: Object, lease: Object | None, now: datetime) -> float:
        """Note what node and lease say now; return how long they have said the same."""
        name, sign = node["metadata"]["name"], _sign_of_life(node, lease)
        last = self._last.get(name)
        if last is None or last[0] != sign:
            self._last[name] = (sign, now)
            return 0.0
        return (now - last[1]).total_seconds()

    def forget(self, name: str) -> None:
        """Begin anew with this node: it is gone, or we could not hear it."""
        self._last.pop(name, None)


def _sign_of_life(node: Object, lease: Object | None) -> Hashable:
    ready = condition(node, "Ready") or {}
    renewed = (lease.get("spec") or {}).get("renewTime") if lease is not None else None
    return uid_of(node), renewed, ready.get("lastHeartbeatTime")
