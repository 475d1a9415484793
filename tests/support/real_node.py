"""One node with a kubelet on real processes and real namespaces; only the API is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from fabric.api.kinds import BUILT_IN, NAMESPACE, POD, KindTable
from fabric.api.objects import Object
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.errors import FabricError, NotFound
from fabric.kernel.linux import LinuxKernel
from fabric.kubelet.catalogue import Catalogue
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.kubelet import Kubelet, SharedCaches
from fabric.netstate.objects import Address, Bridge
from fabric.netstate.plan import diff
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import HostSpec, Mount, SandboxSpec, SandboxStatus
from fabric.store.memory import MemoryStore
from support.eventually import eventually
from support.one_node import NODE_NAME, FakeAgent
from support.runtime_process import RuntimeProcess


class Named(RuntimeClient):
    """Keeps the pids of the namespaces for the kernel."""

    def __init__(self, socket: Path, pids: dict[str, int]) -> None:
        super().__init__(socket)
        self._pids = pids

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await super().start_sandbox(spec)
        self._pids[f"pod:{spec.id}"] = status.pid
        return status


class RealNode:
    """The node, and what a user would do to it."""

    def __init__(self, directory: Path, process: RuntimeProcess) -> None:
        self.process = process
        self.directory = directory
        self.root = directory / "node-1"
        self.pids: dict[str, int] = {}
        self.runtime = Named(process.socket, self.pids)
        self.kernel = LinuxKernel(self.pids)
        self.agent = FakeAgent()
        self.clock = LoopClock()
        self.registry = Registry(MemoryStore(), KindTable(BUILT_IN), self.clock)
        self.client = LocalClient(self.registry)

    @contextlib.asynccontextmanager
    async def kubelet(self) -> AsyncIterator[None]:
        """A kubelet runs in the block; leaving it is as a crash."""
        caches = SharedCaches(self.client, self.runtime)
        recorder = EventRecorder(self.client, self.clock, "kubelet")
        kubelet = Kubelet(
            KubeletConfig(NODE_NAME, self.root, ("192.168.0.11",)),
            client=self.client,
            caches=caches,
            kernel=self.kernel,
            agent=self.agent,
            images=Catalogue.default(),
            recorder=recorder,
            clock=self.clock,
        )
        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(part) for part in (caches.run(), recorder.run(), kubelet.run())]
            yield
            for part in parts:
                part.cancel()

    async def power_on(self) -> None:
        """Start the node, its bridge and the API."""
        folders = ("run", "var/lib/kubelet", "var/log/pods")
        for folder in folders:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        mounts = tuple(Mount(f"/{folder}", self.root / folder) for folder in folders)
        self.pids[NODE_NAME] = await self.runtime.start_node(HostSpec(NODE_NAME, mounts))
        bridge = frozenset({Bridge("cni0", mtu=1450), Address(ip_interface("10.244.1.1/24"), "cni0")})
        await self.kernel.host(NODE_NAME).apply(diff(bridge, frozenset()))
        await self.registry.start()
        with contextlib.suppress(FabricError):
            await self.client.create(NAMESPACE, {"metadata": {"name": "default"}})

    async def create(self, name: str, image: str, *command: str, **spec: Any) -> str:
        """Bind a pod with one container `main`; return its UID."""
        container: Object = {"name": "main", "image": image}
        if command:
            container["command"] = list(command)
        full = {"nodeName": NODE_NAME, "containers": [container], **spec}
        pod = {"metadata": {"name": name}, "spec": full}
        return str((await self.client.create(POD, pod, namespace="default"))["metadata"]["uid"])

    async def pod(self, name: str) -> Object | None:
        try:
            return await self.client.get(POD, name, "default")
        except NotFound:
            return None

    async def phase(self, name: str, phase: str) -> Object:
        """Wait until the pod is in the phase, and return it."""

        async def reached() -> Object | None:
            pod = await self.pod(name)
            assert pod is not None and pod["status"].get("phase") == phase, pod and pod["status"]
            return pod

        found = await eventually(reached)
        assert found is not None
        return found

    async def gone(self, name: str) -> None:
        async def is_gone() -> bool:
            return await self.pod(name) is None

        await eventually(is_gone)

    async def exec(self, name: str, *argv: str) -> tuple[int, str]:
        """Exit code and output of a program beside the pod's first container."""
        pod = await self.pod(name)
        assert pod is not None
        id = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("fabric://")
        path = self.directory / f"exec-{uuid.uuid4().hex}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            session = await self.runtime.exec(id, argv, stdout=fd, stderr=fd)
            return await session.wait(), path.read_text()
        finally:
            os.close(fd)

    def log(self, name: str, uid: str, number: int = 0) -> str:
        path = self.root / f"var/log/pods/default_{name}_{uid}/main/{number}.log"
        return path.read_text() if path.exists() else ""


@contextlib.asynccontextmanager
async def real_node(directory: Path) -> AsyncIterator[RealNode]:
    """A node that is powered on, with nothing left of it at the end."""
    process = RuntimeProcess(directory / "runtime")
    node = RealNode(directory, process)
    try:
        process.start()
        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(node.runtime.run()), tasks.create_task(node.registry.run())]
            await asyncio.wait_for(node.runtime.connected(), 60)
            await node.power_on()
            yield node
            for part in parts:
                part.cancel()
    finally:
        node.kernel.close()
        process.close()
