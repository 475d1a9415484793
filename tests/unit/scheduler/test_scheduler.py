"""The loop against a real registry, on virtual time: bindings, refusals, retries."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.eventually import eventually
from support.owned_task import running
from support.registry import START, new_registry

from fabric.api.kinds import EVENT, NODE, POD, Kind
from fabric.api.objects import Object, condition
from fabric.apiserver.local import LocalClient
from fabric.apiserver.registry import Registry
from fabric.control import parking
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.errors import Conflict, ServerUnavailable
from fabric.scheduler.framework import ClusterState
from fabric.scheduler.placement import Placement, place
from fabric.scheduler.podinfo import PodInfo
from fabric.scheduler.scheduler import Scheduler


class Api(LocalClient):
    """The registry's client; refuses the next bindings in `refusals`."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.refusals: list[Exception] = []
        self.answers_to_lose = 0
        """So many bindings are made, and their answers lost."""
        self.is_away = False
        """Reads of pods are not answered."""

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        if subresource == "binding" and self.refusals:
            raise self.refusals.pop()
        answer = await super().create(kind, obj, namespace=namespace, subresource=subresource)
        if subresource == "binding" and self.answers_to_lose:
            self.answers_to_lose -= 1
            raise ServerUnavailable("the answer is lost")
        return answer

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        if self.is_away and kind == POD:
            raise ServerUnavailable("the server is away")
        return await super().get(kind, name, namespace)

    async def add_node(self, name: str, cpu: str = "4") -> None:
        await self.create(NODE, {"metadata": {"name": name}})
        ready = {"spec": {"taints": None}}
        await self.patch(NODE, name, ready)
        room = {"status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}}
        await self.patch(NODE, name, room, subresource="status")

    async def add_pod(self, name: str, cpu: str = "0", **spec: Any) -> None:
        container = {"name": "main", "image": "busybox", "resources": {"requests": {"cpu": cpu}}}
        pod = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]} | spec}
        await self.create(POD, pod)

    async def node_of(self, name: str) -> str:
        return str((await self.get(POD, name, "default"))["spec"].get("nodeName", ""))

    async def messages(self, reason: str) -> list[str]:
        events = (await self.list(EVENT)).items
        return [event["message"] for event in events if event["reason"] == reason]


@asynccontextmanager
async def scheduling() -> AsyncIterator[Api]:
    clock = LoopClock(START)
    async with new_registry() as registry:
        api = Api(registry)
        informers = Informers(api)
        recorder = EventRecorder(api, clock, "default-scheduler")
        scheduler = Scheduler(api, informers, recorder, clock)
        async with running(informers.run(), recorder.run(), scheduler.run()):
            yield api


async def test_a_pod_is_bound_and_told_so() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        await api.add_pod("pod-1")
        assert await eventually(lambda: api.node_of("pod-1")) == "node-1"
        said = await eventually(lambda: api.messages("Scheduled"))
        assert said == ["Successfully assigned default/pod-1 to node-1"]


async def test_a_pod_that_does_not_fit_says_why_and_is_bound_when_a_node_comes() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        await api.add_pod("pod-1", cpu="6")
        (why,) = await eventually(lambda: api.messages("FailedScheduling"))
        assert why == "0/1 nodes are available: 1 Insufficient cpu."
        unscheduled = condition(await api.get(POD, "pod-1", "default"), "PodScheduled")
        assert unscheduled is not None
        assert (unscheduled["status"], unscheduled["reason"]) == ("False", "Unschedulable")
        assert unscheduled["message"] == why
        await api.add_node("node-2", cpu="8")
        assert await eventually(lambda: api.node_of("pod-1")) == "node-2"
        bound = condition(await api.get(POD, "pod-1", "default"), "PodScheduled")
        assert bound is not None and bound["status"] == "True"


async def test_a_pod_that_waits_for_room_gets_it_when_another_goes() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        await api.add_pod("first", cpu="3")
        await eventually(lambda: api.node_of("first"))
        await api.add_pod("second", cpu="3")
        await eventually(lambda: api.messages("FailedScheduling"))
        await api.delete(POD, "first", "default", grace_period_seconds=0)
        assert await eventually(lambda: api.node_of("second")) == "node-1"


async def test_a_refused_binding_is_tried_again_after_its_backoff() -> None:
    async with scheduling() as api:
        loop = asyncio.get_running_loop()
        await api.add_node("node-1")
        api.refusals = [Conflict("no"), Conflict("not yet")]
        start = loop.time()
        await api.add_pod("pod-1")
        await eventually(lambda: api.node_of("pod-1"))
        assert 3.0 <= loop.time() - start < 3.1


async def test_a_binding_whose_answer_is_lost_counts() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        api.answers_to_lose = 1
        await api.add_pod("first", cpu="3")
        await api.add_pod("second", cpu="3")
        assert await eventually(lambda: api.messages("Scheduled")) == [
            "Successfully assigned default/first to node-1"
        ]
        await asyncio.sleep(30)
        assert await api.node_of("second") == ""


async def test_while_nobody_knows_whether_a_pod_is_bound_it_counts() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        api.answers_to_lose, api.is_away = 1, True
        await api.add_pod("first", cpu="3")
        await asyncio.sleep(5)
        await api.delete(POD, "first", "default", grace_period_seconds=0)
        api.is_away = False
        await api.add_pod("second", cpu="3")
        assert await eventually(lambda: api.node_of("second")) == "node-1"


async def test_a_pod_of_another_scheduler_or_behind_a_gate_is_left_alone() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        await api.add_pod("theirs", schedulerName="other")
        await api.add_pod("gated", schedulingGates=[{"name": "example.com/wait"}])
        await api.add_pod("mine")
        await eventually(lambda: api.node_of("mine"))
        await asyncio.sleep(30)
        assert await api.node_of("theirs") == "" == await api.node_of("gated")


async def test_a_burst_of_pods_fills_the_nodes_evenly_and_never_beyond_their_room() -> None:
    async with scheduling() as api:
        for i in range(4):
            await api.add_node(f"node-{i}", cpu="10")
        for i in range(45):
            await api.add_pod(f"pod-{i}", cpu="1")
        await eventually(lambda: api.messages("FailedScheduling"))

        async def by_node() -> Counter[str]:
            return Counter(pod["spec"].get("nodeName", "") for pod in (await api.list(POD)).items)

        await asyncio.sleep(60)
        assert await by_node() == {"": 5} | {f"node-{i}": 10 for i in range(4)}


async def test_a_scheduler_that_starts_later_counts_what_runs() -> None:
    async with new_registry() as registry:
        api = Api(registry)
        await api.add_node("node-1")
        await api.add_pod("old", cpu="3", nodeName="node-1")
        await api.add_pod("new", cpu="3")
        clock, informers = LoopClock(START), Informers(api)
        recorder = EventRecorder(api, clock, "default-scheduler")
        scheduler = Scheduler(api, informers, recorder, clock)
        async with running(informers.run(), recorder.run(), scheduler.run()):
            await eventually(lambda: api.messages("FailedScheduling"))
            assert await api.node_of("new") == ""


async def test_a_pod_that_meets_a_bug_is_parked_and_the_others_are_scheduled(monkeypatch) -> None:
    def place_or_stumble(pod: PodInfo, state: ClusterState) -> Placement:
        if pod.key.name == "poison":
            raise OverflowError("too large")
        return place(pod, state)

    monkeypatch.setattr("fabric.scheduler.scheduler.place", place_or_stumble)
    monkeypatch.setattr(parking, "_is_on", True)
    async with scheduling() as api:
        await api.add_node("node-1")
        for name in ("poison", "pod-1"):
            await api.add_pod(name)
        assert await eventually(lambda: api.node_of("pod-1")) == "node-1"
        assert "OverflowError" in (await eventually(lambda: api.messages("FailedScheduling")))[0]
        assert await api.node_of("poison") == ""


async def test_a_request_beyond_all_measure_counts_as_the_largest() -> None:
    async with scheduling() as api:
        await api.add_node("node-1")
        await api.add_node("node-2")
        await api.add_pod("huge", cpu="1e999", nodeName="node-1")
        for name in ("pod-1", "pod-2"):
            await api.add_pod(name, cpu="1")
            assert await eventually(lambda name=name: api.node_of(name)) == "node-2"
