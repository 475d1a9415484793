"""An API and all controllers in one process on virtual time, with nodes whose kubelets are puppets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fabric.api.kinds import CONFIG_MAP, LEASE, NAMESPACE, NODE, POD, Kind
from fabric.api.objects import Object, micro_timestamp, timestamp
from fabric.apiserver.local import LocalClient
from fabric.control.client import STRATEGIC, Client
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.controllers.controllers import Controllers, ControllerSettings
from fabric.errors import NotFound
from support.owned_task import running
from support.registry import START, new_registry


class ControlPlane:
    """What a test does by hand, through the client: users' writes and kubelets' reports."""

    def __init__(self, client: Client, clock: LoopClock) -> None:
        self.client = client
        self.clock = clock

    async def names(self, kind: Kind, namespace: str = "") -> set[str]:
        return {obj["metadata"]["name"] for obj in (await self.client.list(kind, namespace)).items}

    async def find(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        try:
            return await self.client.get(kind, name, namespace)
        except NotFound:
            return None

    async def add_namespace(self, name: str) -> None:
        await self.client.create(NAMESPACE, {"metadata": {"name": name}})

    async def add_node(self, name: str) -> None:
        """Register a node as its kubelet does, and report it ready."""
        await self.client.create(NODE, {"metadata": {"name": name}})
        await self.beat(name)

    async def beat(self, name: str, ready: str = "True", **conditions: str) -> None:
        """The kubelet's heartbeat: it renews the lease and posts the status."""
        now = self.clock.now()
        spec = {"holderIdentity": name, "renewTime": micro_timestamp(now), "leaseDurationSeconds": 40}
        try:
            await self.client.patch(LEASE, name, {"spec": spec}, namespace="kube-node-lease")
        except NotFound:
            owners = [owner_ref(await self.client.get(NODE, name))]
            meta = {"name": name, "namespace": "kube-node-lease", "ownerReferences": owners}
            await self.client.create(LEASE, {"metadata": meta, "spec": spec})
        posted = [
            {"type": type_, "status": status, "lastHeartbeatTime": timestamp(now)}
            for type_, status in {"Ready": ready, **conditions}.items()
        ]
        change = {"status": {"conditions": posted}}
        await self.client.patch(NODE, name, change, subresource="status", patch_type=STRATEGIC)

    async def add_pod(self, name: str, node: str = "", namespace: str = "default", **meta: Any) -> Object:
        """Create a pod; on a node, its kubelet reports it running and ready."""
        containers = [{"name": "main", "image": "busybox"}]
        spec = {"containers": containers} | ({"nodeName": node} if node else {})
        pod = {"metadata": {"name": name, "namespace": namespace} | meta, "spec": spec}
        created = await self.client.create(POD, pod)
        if not node:
            return created
        return await self.report(name, namespace, phase="Running", ready="True")

    async def report(self, name: str, namespace: str = "default", *, phase: str, ready: str) -> Object:
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
        return await self.client.patch(
            POD,
            name,
            {"status": status},
            namespace=namespace,
            subresource="status",
            patch_type=STRATEGIC,
        )

    async def add_config_map(self, name: str, *owners: Object, blocking: bool = True, **meta: Any) -> Object:
        """Create a config map that the given objects own."""
        refs = [owner_ref(owner, blocking) for owner in owners]
        body = {"metadata": {"namespace": "default"} | meta | {"name": name, "ownerReferences": refs}}
        return await self.client.create(CONFIG_MAP, body)


def owner_ref(owner: Object, blocking: bool = True) -> Object:
    meta = owner["metadata"]
    identity = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    return identity | {"name": meta["name"], "uid": meta["uid"], "blockOwnerDeletion": blocking}


@asynccontextmanager
async def controllers_on(client: Client, clock: LoopClock, **settings: Any) -> AsyncIterator[None]:
    """Run a control process on the client until the block ends."""
    informers = Informers(client)
    recorder = EventRecorder(client, clock, "controller-manager")
    controllers = Controllers(client, informers, recorder, clock, settings=ControllerSettings(**settings))
    async with running(informers.run(), recorder.run(), controllers.run()):
        yield


@asynccontextmanager
async def control_plane(**settings: Any) -> AsyncIterator[ControlPlane]:
    """An API with running controllers, from the first second of 2026 on."""
    clock = LoopClock(START)
    async with new_registry() as registry:
        client = LocalClient(registry)
        async with controllers_on(client, clock, **settings):
            await asyncio.sleep(0.1)
            yield ControlPlane(client, clock)
