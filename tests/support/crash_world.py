"""A node, a real API in memory, and all that can go wrong between them, for the kubelet's model test."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fabric.api.kinds import BUILT_IN, NAMESPACE, POD, KindTable
from fabric.api.objects import Key, Object, is_deleting, key_of, uid_of
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.errors import FabricError, NotFound
from fabric.kernel.fake import FakeKernel
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.kubelet import Kubelet, SharedCaches
from fabric.kubelet.podfiles import uids_on_disk
from fabric.kubelet.podspec import is_terminal
from fabric.netstate.objects import Bridge, Veth
from fabric.runtime.contract import HostSpec
from fabric.runtime.fake_program import Program
from fabric.store.memory import MemoryStore
from support.one_node import EPOCH, NODE_NAME, FakeAgent, FakeCatalogue, SharedFate

PROGRAMS = {
    "for-ever": Program(),
    "crash": Program(seconds=3.0, exit_code=1),
    "job": Program(seconds=5.0),
    "at-once": Program(seconds=0.0),
    "stubborn": Program(ignores=frozenset({15})),
    "slow": Program(on_term=0, stops_in_seconds=4.0),
    "absent": Program(start_error="not found"),
}


class CrashWorld:
    """`play` does one thing to the world; `check` says what must hold once all is quiet."""

    def __init__(self, root: Path) -> None:
        self.clock = LoopClock(datetime.fromtimestamp(EPOCH, UTC))
        self.registry = Registry(MemoryStore(), KindTable(BUILT_IN), self.clock)
        self.client = LocalClient(self.registry)
        self.kernel = FakeKernel(NODE_NAME)
        self.kernel.host(NODE_NAME).tamper_add(Bridge("cni0"))
        self.runtime = SharedFate(self.kernel, PROGRAMS)
        self.agent = FakeAgent()
        self.config = KubeletConfig(NODE_NAME, root, ("192.168.0.11",))
        self._kubelet: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.registry.start()
        self._background.append(asyncio.create_task(self.registry.run()))
        await self.runtime.start_node(HostSpec(NODE_NAME))
        with contextlib.suppress(FabricError):
            await self.client.create(NAMESPACE, {"metadata": {"name": "default"}})
        await self.restart_kubelet(0)

    async def close(self) -> None:
        for task in (*self._background, *([self._kubelet] if self._kubelet else [])):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def play(self, verb: str, *arguments: Any) -> None:
        """Do one step; what the API refuses is no error of the world's."""
        with contextlib.suppress(FabricError):
            await getattr(self, verb)(*arguments)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def create(self, number: int, program: str, policy: str, init: str, grace: int) -> None:
        spec: Object = {
            "nodeName": NODE_NAME,
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": grace,
            "containers": [{"name": "main", "image": "nginx", "command": [program]}],
            "volumes": [{"name": "data", "emptyDir": {}}],
        }
        if init:
            spec["initContainers"] = [{"name": "init", "image": "nginx", "command": [init]}]
        meta = {"name": f"pod-{number}", "namespace": "default"}
        await self.client.create(POD, {"metadata": meta, "spec": spec}, namespace="default")

    async def delete(self, number: int, grace: int | None) -> None:
        await self.client.delete(POD, f"pod-{number}", "default", grace_period_seconds=grace)

    async def crash_container(self, number: int, code: int) -> None:
        for container in await self.runtime.containers(await self._uid(number)):
            self.runtime.end_container(container.id, code)

    async def crash_sandbox(self, number: int) -> None:
        self.runtime.kill_sandbox(await self._uid(number))

    async def restart_kubelet(self, away_seconds: float) -> None:
        if self._kubelet is not None:
            self._kubelet.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._kubelet
        await asyncio.sleep(away_seconds)
        self._kubelet = asyncio.create_task(self._run_kubelet())

    async def power_off(self, away_seconds: float) -> None:
        await self.runtime.stop_node(NODE_NAME)
        await asyncio.sleep(away_seconds)
        await self.runtime.start_node(HostSpec(NODE_NAME))

    async def lose_runtime(self, seconds: float) -> None:
        self.runtime.down = True
        await asyncio.sleep(seconds)
        self.runtime.restart()

    async def lose_network(self, seconds: float) -> None:
        self.agent.ready = False
        await asyncio.sleep(seconds)
        self.agent.ready = True

    async def refuse_veth(self) -> None:
        self.kernel.host(NODE_NAME).refuse_next(lambda step: isinstance(step.obj, Veth))

    async def delete_veth(self) -> None:
        host = self.kernel.host(NODE_NAME)
        for veth in [obj for obj in host.state if isinstance(obj, Veth)][:1]:
            host.tamper_delete(veth)

    async def pods(self) -> list[Object]:
        return list((await self.client.list(POD)).items)

    async def check(self) -> None:
        """No leak, no double, no lie."""
        pods = {uid_of(pod): pod for pod in await self.pods()}
        alive = {uid for uid, pod in pods.items() if not is_terminal(pod["status"])}
        assert not any(is_deleting(pod) for pod in pods.values())
        sandboxes = await self.runtime.sandboxes()
        assert {sandbox.id for sandbox in sandboxes} == alive
        assert all(sandbox.alive for sandbox in sandboxes)
        assert set(self.agent.attachments) == alive
        assert uids_on_disk(self.config) <= pods.keys()
        veths = [obj for obj in self.kernel.host(NODE_NAME).state if isinstance(obj, Veth)]
        assert {veth.peer_ns for veth in veths} == {f"pod:{uid}" for uid in alive}
        for uid, pod in pods.items():
            await self._check_pod(uid, pod)

    async def _check_pod(self, uid: str, pod: Object) -> None:
        entry = pod["status"]["containerStatuses"][0]
        containers = await self.runtime.containers(uid)
        running = [each for each in containers if each.name == "main" and each.state == "running"]
        assert len(running) <= 1, key_of(pod)
        shown = [entry["containerID"].removeprefix("fabric://")] if "running" in entry["state"] else []
        assert [each.id for each in running] == shown, key_of(pod)
        starts = [spec for spec in self.runtime.started if spec.sandbox == uid and spec.name == "main"]
        assert len({spec.id for spec in starts}) == len(starts)
        if pod["spec"]["restartPolicy"] == "Never":
            assert len(starts) <= 1

    async def _run_kubelet(self) -> None:
        caches = SharedCaches(self.client, self.runtime)
        recorder = EventRecorder(self.client, self.clock, "kubelet")
        kubelet = Kubelet(
            self.config,
            client=self.client,
            caches=caches,
            kernel=self.kernel,
            agent=self.agent,
            images=FakeCatalogue(),
            recorder=recorder,
            clock=self.clock,
        )
        async with asyncio.TaskGroup() as tasks:
            for part in (caches.run(), recorder.run(), kubelet.run()):
                tasks.create_task(part)

    async def _uid(self, number: int) -> str:
        try:
            return uid_of(await self.registry.get(POD, *Key("default", f"pod-{number}")))
        except NotFound:
            return "nobody"
