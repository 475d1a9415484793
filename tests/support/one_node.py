"""One node with a kubelet on fakes: API and runtime in memory, the strict kernel, a tiny network plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from fabric.api.kinds import EVENT, NODE, POD
from fabric.api.objects import Key, Object, timestamp
from fabric.control.client import Client
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.errors import FabricError
from fabric.kernel.fake import FakeKernel
from fabric.kubelet.catalogue import Image
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.kubelet import Kubelet, SharedCaches
from fabric.netstate.objects import Address, Bridge, LinkMac, LinkMtu, LinkUp, Route, Veth
from fabric.plugin.contract import AgentStatus, Attachment, PodRef
from fabric.runtime.contract import HostSpec, SandboxSpec, SandboxStatus
from fabric.runtime.fake import FakeRuntime
from support.memory_api import MemoryApi

EPOCH = 1.8e9
NODE_NAME = "node-1"


class FakeCatalogue:
    """Knows what it is given; `images` may change at any time."""

    def __init__(self) -> None:
        self.images = {name: Image(name, cmd=(name,)) for name in ("nginx", "busybox")}

    def resolve(self, name: str) -> Image:
        found = self.images.get(name.partition(":")[0])
        if found is None:
            raise FabricError(f"image {name!r} is not in the catalogue; see: fabric images")
        return found


class FakeAgent:
    """Gives out 10.244.1.2 and up, each behind a veth on the bridge cni0."""

    def __init__(self) -> None:
        self.ready = True
        self.pod_cidrs: tuple[str, ...] = ()
        self.programs = asyncio.Event()
        """Cleared while pods that have an attachment have no policies yet."""
        self.programs.set()
        self.attachments: dict[str, Attachment] = {}
        self.collected: list[frozenset[str]] = []
        self._last = 1

    async def run(self) -> None:
        await asyncio.Event().wait()

    def status(self) -> AgentStatus:
        reason = "FakeIsUp" if self.ready else "FakeIsDown"
        return AgentStatus(self.ready, reason, "fake network", {}, self.pod_cidrs)

    async def add(self, pod: PodRef) -> Attachment:
        if not self.ready:
            raise FabricError("the fake network is not ready")
        if pod.uid not in self.attachments:
            self._last += 1
            self.attachments[pod.uid] = _attachment(pod, self._last)
        return self.attachments[pod.uid]

    async def check(self, pod: PodRef) -> Attachment | None:
        return self.attachments.get(pod.uid)

    async def until_programmed(self, pod: PodRef) -> None:
        await self.programs.wait()

    async def delete(self, pod: PodRef) -> None:
        self.attachments.pop(pod.uid, None)

    async def collect(self, alive: frozenset[str]) -> None:
        self.collected.append(alive)
        self.attachments = {uid: each for uid, each in self.attachments.items() if uid in alive}


class SharedFate(FakeRuntime):
    """A runtime whose sandboxes are namespaces of the fake kernel."""

    def __init__(self, kernel: FakeKernel, programs: Mapping[str, Any]) -> None:
        super().__init__(programs, epoch=EPOCH)
        self._kernel = kernel
        self.namespaces: set[str] = set()
        """The pods' namespaces that are there now."""

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await super().start_sandbox(spec)
        name = f"pod:{spec.id}"
        if not spec.host_network and name not in self.namespaces:
            self._kernel.add_namespace(name)
            self.namespaces.add(name)
        return status

    def kill_sandbox(self, id: str) -> None:
        super().kill_sandbox(id)
        self._kernel.remove_namespace(f"pod:{id}")
        self.namespaces.discard(f"pod:{id}")


class OneNode:
    """The node, its world, and what a user would do to it."""

    def __init__(self, root: Path, programs: Mapping[str, Any] | None = None, **config: Any) -> None:
        self.api = MemoryApi()
        self.kernel = FakeKernel(NODE_NAME)
        self.kernel.host(NODE_NAME).tamper_add(Bridge("cni0"))
        self.runtime = SharedFate(self.kernel, programs or {})
        self.agent = FakeAgent()
        self.images = FakeCatalogue()
        self.clock = LoopClock(datetime.fromtimestamp(EPOCH, UTC))
        self.config = KubeletConfig(NODE_NAME, root, ("192.168.0.11",), **config)
        self.heartbeats: Client | None = None
        """The node's own way to the API, where it has one."""
        self.recorder = EventRecorder(self.api, self.clock, "kubelet", NODE_NAME)

    @asynccontextmanager
    async def kubelet(self) -> AsyncIterator[None]:
        """A kubelet runs in the block; leaving it is as a crash."""
        await self.runtime.start_node(HostSpec(NODE_NAME))
        caches = SharedCaches(self.api, self.runtime)
        kubelet = Kubelet(
            self.config,
            client=self.api,
            caches=caches,
            kernel=self.kernel,
            agent=self.agent,
            images=self.images,
            recorder=self.recorder,
            clock=self.clock,
            heartbeats=self.heartbeats,
        )
        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(part) for part in (caches.run(), kubelet.run(), self.recorder.run())]
            yield
            for part in parts:
                part.cancel()

    def create(self, name: str = "pod-1", **spec: Any) -> Object:
        """Bind a pod to the node: one container `main` of nginx, unless `spec` says otherwise."""
        containers = spec.pop("containers", None) or [container(**spec.pop("container", {}))]
        meta = {"name": name, "namespace": "default"}
        full = {"nodeName": NODE_NAME, "terminationGracePeriodSeconds": 30, **spec, "containers": containers}
        return self.api.put(
            POD, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": full, "status": {}}
        )

    def delete(self, name: str = "pod-1", grace_seconds: int | None = None) -> None:
        """Ask for the deletion as the API server marks it."""
        pod = self.pod(name)
        grace = pod["spec"]["terminationGracePeriodSeconds"] if grace_seconds is None else grace_seconds
        moment = timestamp(self.clock.now() + timedelta(seconds=grace))
        marks = {"deletionTimestamp": moment, "deletionGracePeriodSeconds": grace}
        self.api.put(POD, {**pod, "metadata": {**pod["metadata"], **marks}})

    def force_delete(self, name: str = "pod-1") -> None:
        self.api.remove(POD, Key("default", name))

    def pod(self, name: str = "pod-1") -> Object:
        return self.api.objects[POD, Key("default", name)]

    def exists(self, name: str = "pod-1") -> bool:
        return (POD, Key("default", name)) in self.api.objects

    def status(self, name: str = "pod-1") -> Object:
        return self.pod(name)["status"]

    def state(self, name: str = "pod-1", container: int = 0) -> Object:
        return self.status(name)["containerStatuses"][container]["state"]

    def node(self) -> Object:
        return self.api.objects[NODE, Key("", NODE_NAME)]

    def uid(self, name: str = "pod-1") -> str:
        return str(self.pod(name)["metadata"]["uid"])

    def container_id(self, name: str = "pod-1", container: int = 0) -> str:
        return str(self.status(name)["containerStatuses"][container]["containerID"]).removeprefix("fabric://")

    def status_writes(self) -> int:
        return sum(call.startswith("patch pods") for call in self.api.calls)

    def events(self) -> list[tuple[str, str]]:
        """(reason, message) of every event written."""
        return [
            (obj["reason"], obj["message"]) for (kind, _), obj in self.api.objects.items() if kind is EVENT
        ]

    async def has_nothing_of(self, uid: str) -> bool:
        """True when no trace of a pod is left in runtime, kernel, plugin and files."""
        sandboxes = {sandbox.id for sandbox in await self.runtime.sandboxes()}
        files = [path for path in self.config.root.rglob("*") if path.name.rpartition("_")[2] == uid]
        held = f"pod:{uid}" in self.runtime.namespaces or uid in self.agent.attachments
        return uid not in sandboxes and not files and not held


def container(name: str = "main", image: str = "nginx", **more: Any) -> Object:
    return {"name": name, "image": image, **more}


async def after(seconds: float) -> None:
    """Let time pass; the clock of these tests jumps."""
    await asyncio.sleep(seconds)


def _attachment(pod: PodRef, number: int) -> Attachment:
    address = ip_interface(f"10.244.1.{number}/24")
    gateway = ip_address("10.244.1.1")
    mac = f"0a:58:0a:f4:01:{number:02x}"
    veth = Veth(f"veth{number:08x}", pod.device, pod.netns, 1450, peer_mac=mac, master="cni0", hairpin=True)
    inside = (
        LinkUp("lo"),
        LinkUp(pod.device),
        LinkMtu(pod.device, 1450),
        LinkMac(pod.device, mac),
        Address(address, pod.device),
        Route(ip_network("0.0.0.0/0"), gateway, pod.device),
    )
    return Attachment((address,), (gateway,), 1450, frozenset({veth}), frozenset(inside))
