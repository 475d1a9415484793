"""A node in the API: registered, its lease renewed, its status written when it changes and now and then.

A Node or Lease that somebody deleted is made again. While the node is not ready it is looked at after
50 ms, doubling to 2 s, so that it becomes Ready soon after its network; then at each heartbeat.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fabric.api.kinds import LEASE, NAMESPACE, NODE
from fabric.api.objects import (
    Key,
    Object,
    annotations_of,
    labels_of,
    micro_timestamp,
    resource_version_of,
    uid_of,
)
from fabric.control.backoff import Backoff
from fabric.control.client import STRATEGIC, Client
from fabric.control.clock import Clock
from fabric.control.events import Events
from fabric.control.informer import Informer
from fabric.control.loop import Loop
from fabric.errors import AlreadyExists, NotFound
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.nodeobject import (
    Health,
    condition_events,
    new_node,
    node_labels,
    node_status,
    stands,
    status_patch,
)
from fabric.kubelet.podcache import PodCache
from fabric.plugin.contract import AgentStatus, NodeAgent

LEASES = "kube-node-lease"
DETAILS = "network.fabric.dev/"
"""Prefix of the annotations that hold the details of the network agent's status."""
POLL_SECONDS = 0.05
POLL_SECONDS_MAX = 0.2
RETRY = Backoff(0.05, 2.0)
"""A node that was cut off is Ready again soon after its cable is back."""


class NodeRegistration:
    """The registration of one node keeps its Node and its Lease."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        nodes: Informer,
        pod_cache: PodCache,
        agent: NodeAgent,
        recorder: Events,
        clock: Clock,
    ) -> None:
        """`nodes` is read, and `client` writes; the Node is asked for only where one is not known there."""
        self._config = config
        self._client = client
        self._nodes = nodes
        self._pod_cache = pod_cache
        self._agent = agent
        self._recorder = recorder
        self._clock = clock
        self._node: Object | None = None
        self._is_unschedulable = False
        """As it was told last."""
        self._written_at: float | None = None
        self._renewed_at: float | None = None
        self._poll = POLL_SECONDS
        self._loop = Loop(f"node {config.node_name}", self._beat, backoff=RETRY)

    async def run(self) -> None:
        """Heartbeat for ever; a refusal is retried with a delay that doubles to 2 s."""
        self._tell("Starting", "Starting kubelet.")
        await self._loop.run()

    def try_again(self) -> None:
        """Try at once what was refused, if anything was: the way to the API server may be there now."""
        if self._loop.last_error:
            self._loop.trigger()

    async def _beat(self) -> float:
        """Write what is due; return the seconds until the next pass."""
        try:
            return await self._heartbeat()
        except BaseException:
            self._node = None
            raise

    async def _heartbeat(self) -> float:
        network = self._agent.status()
        health = Health(self._pod_cache.ready, network)
        if self._node is None or self._lease_is_due():
            self._node = await self._registered()
        await self._write_status(self._node, health)
        self._tell_schedulable(self._node)
        await self._write_details(self._node, network)
        await self._renew_lease(self._node)
        if health.ready:
            self._poll = POLL_SECONDS
            return float(self._config.heartbeat_seconds)
        seconds = self._poll
        self._poll = min(self._poll * 2, POLL_SECONDS_MAX, self._config.heartbeat_seconds)
        return seconds

    async def _registered(self) -> Object:
        """The Node as it stands, created or completed when it is not as this kubelet needs it."""
        node = self._known()
        if node is None:
            self._written_at = None
            try:
                return await self._client.create(NODE, new_node(self._config))
            except AlreadyExists:
                node = await self._client.get(NODE, self._config.node_name)
        labels = labels_of(node)
        missing = {key: value for key, value in node_labels(self._config).items() if labels.get(key) != value}
        if not missing:
            return node
        return await self._client.patch(NODE, self._config.node_name, {"metadata": {"labels": missing}})

    def _known(self) -> Object | None:
        """The Node as it was seen last, or as the last write left it, where that is newer."""
        seen = self._nodes.get(Key("", self._config.node_name))
        if seen is not None and self._node is not None and _version(self._node) > _version(seen):
            return self._node
        return seen

    async def _write_status(self, node: Object, health: Health) -> None:
        now = asyncio.get_running_loop().time()
        status = node_status(self._config, node.get("status") or {}, health, self._clock.now())
        old = self._written_at is None or now - self._written_at >= self._config.status_seconds
        if not old and stands(node.get("status") or {}, status):
            return
        self._node = await self._client.patch(
            NODE,
            self._config.node_name,
            {"status": status_patch(node.get("status") or {}, status)},
            subresource="status",
            patch_type=STRATEGIC,
        )
        self._written_at = now
        for reason in condition_events(node.get("status") or {}, status):
            self._tell(reason)

    async def _write_details(self, node: Object, network: AgentStatus) -> None:
        """Tell in the Node what the network's agent says of itself; podCIDRs once set stay as they are."""
        wanted = {DETAILS + key: value for key, value in network.details.items()}
        have = {key: value for key, value in annotations_of(node).items() if key.startswith(DETAILS)}
        patch: Object = {}
        if wanted != have:
            patch["metadata"] = {"annotations": {**dict.fromkeys(have), **wanted}}
        if network.pod_cidrs and not (node.get("spec") or {}).get("podCIDR"):
            patch["spec"] = {"podCIDR": network.pod_cidrs[0], "podCIDRs": list(network.pod_cidrs)}
        if patch:
            self._node = await self._client.patch(NODE, self._config.node_name, patch)

    def _tell_schedulable(self, node: Object) -> None:
        is_unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
        if is_unschedulable != self._is_unschedulable:
            self._tell("NodeNotSchedulable" if is_unschedulable else "NodeSchedulable")
        self._is_unschedulable = is_unschedulable

    def _tell(self, reason: str, message: str = "") -> None:
        """Record an event of the node's, whose UID is here the node's name, as kubelet has it."""
        name = self._config.node_name
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}
        self._recorder.event(node, "Normal", reason, message or f"Node {name} status is now: {reason}")

    def _lease_is_due(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._renewed_at is None or now - self._renewed_at > self._config.heartbeat_seconds - 0.001

    async def _renew_lease(self, node: Object) -> None:
        if not self._lease_is_due():
            return
        spec = {"renewTime": micro_timestamp(self._clock.now())}
        try:
            await self._client.patch(LEASE, self._config.node_name, {"spec": spec}, namespace=LEASES)
        except NotFound:
            await self._create_lease(node)
        self._renewed_at = asyncio.get_running_loop().time()

    async def _create_lease(self, node: Object) -> None:
        try:
            await self._client.create(LEASE, self._new_lease(node), namespace=LEASES)
        except NotFound:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASES}}
            with suppress(AlreadyExists):
                await self._client.create(NAMESPACE, namespace)
            await self._client.create(LEASE, self._new_lease(node), namespace=LEASES)

    def _new_lease(self, node: Object) -> Object:
        name = self._config.node_name
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node)}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": name, "namespace": LEASES, "ownerReferences": [owner]},
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": self._config.lease_seconds,
                "renewTime": micro_timestamp(self._clock.now()),
            },
        }


def _version(node: Object) -> int:
    text = resource_version_of(node)
    return int(text) if text.isdigit() else 0
