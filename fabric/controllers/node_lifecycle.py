"""Nodes that fall silent are said to be so, and their taints follow their conditions.

A node lives as long as its lease is renewed or its status is posted. One that was silent for the grace
period gets Ready, and the pressures, as Unknown; from then on its pods are not ready, and the
taint `unreachable` lets the eviction controller take them away. When the kubelet posts again, all of
it is taken back. Before a node is declared silent its lease is read from the server itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.api.kinds import LEASE, NODE, POD
from fabric.api.objects import Key, Object, condition, condition_is, resource_version_of, timestamp
from fabric.control.client import MERGE, STRATEGIC, Client
from fabric.control.clock import Clock
from fabric.control.controller import Controller
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.controllers.heartbeats import Heartbeats
from fabric.controllers.placement import PODS_BY_NODE, node_name, node_names
from fabric.controllers.taints import desired_taints, same_taints, taints_of
from fabric.errors import NotFound, ServerUnavailable

LEASE_NAMESPACE = "kube-node-lease"
_POSTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a node may be silent, in seconds."""

    grace_seconds: float = 40.0
    startup_grace_seconds: float = 60.0
    """For a node that has not posted a status yet."""


class NodeLifecycleController:
    """Keeps conditions and taints of nodes, by name."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._patience = patience
        self._heartbeats = Heartbeats()
        self._nodes = informers.of(NODE)
        self._leases = informers.of(LEASE)
        self._pods = informers.of(POD)
        self._pods.add_index(PODS_BY_NODE, node_names)
        self._controller: Controller[str] = Controller("nodes", self.reconcile, workers=8)
        self._nodes.on_change(lambda key, old, new: self._controller.queue.add(key.name))
        self._leases.on_change(self._note_lease)
        self._pods.on_change(self._note_pod)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, name: str) -> None:
        node = self._nodes.get(Key("", name))
        if node is None:
            self._heartbeats.forget(name)
            return
        if await self._is_silent(node):
            node = await self._declare_silent(node)
        await self._keep_taints(node)
        if condition_is(node, "Ready", "Unknown"):
            await self._mark_pods(name)

    def _note_lease(self, key: Key, old: Object | None, new: Object | None) -> None:
        if key.namespace == LEASE_NAMESPACE:
            self._controller.queue.add(key.name)

    def _note_pod(self, key: Key, old: Object | None, new: Object | None) -> None:
        if new is not None and condition_is(new, "Ready") and not condition_is(old or {}, "Ready"):
            self._controller.queue.add(node_name(new))

    async def _is_silent(self, node: Object) -> bool:
        """True when the grace is over; else the node is looked at again when it will be."""
        name, now = node["metadata"]["name"], self._clock.now()
        posted = condition(node, "Ready") is not None
        grace = self._patience.grace_seconds if posted else self._patience.startup_grace_seconds
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

    async def _declare_silent(self, node: Object) -> Object:
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
        for pod in self._pods.by_index(PODS_BY_NODE, name):
            if not condition_is(pod, "Ready"):
                continue
            unready = {
                "type": "Ready",
                "status": "False",
                "reason": "NodeNotReady",
                "lastTransitionTime": timestamp(self._clock.now()),
            }
            meta = pod["metadata"]
            change = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [unready]}}
            try:
                await self._client.patch(
                    POD,
                    meta["name"],
                    change,
                    namespace=meta["namespace"],
                    subresource="status",
                    patch_type=STRATEGIC,
                )
            except NotFound:
                continue
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


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
