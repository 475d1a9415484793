"""Pods, nodes, kills and a bad line, in any order: no node gets more than it has, and nobody waits in vain.

The oracle reads the server: the sums of what is bound to each node, and whether a pending pod would fit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.flaky_client import FlakyClient
from support.owned_task import running
from support.registry import START, new_registry
from support.virtual_time import VirtualTimeLoop

from fabric.api.kinds import NODE, POD
from fabric.api.objects import Object
from fabric.apiserver.local import LocalClient
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.informers import Informers
from fabric.scheduler.scheduler import Scheduler

SETTLE_SECONDS = 120
NAMES = tuple(f"pod-{n}" for n in range(12))
"""Names of pods are used again, by other pods."""

picks = st.integers(0, 999)
wishes = st.tuples(st.integers(0, 4), st.booleans(), st.booleans())
"""Halves of a CPU, a host port, and whether the pod wants to be alone on its node."""


class World(RuleBasedStateMachine):
    """Acts for users, nodes and the world."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.serial = 0
        self.ready = asyncio.Event()
        self.server = self.loop.create_task(self._serve())
        self.do(self.ready.wait())
        self.scheduler = self.loop.create_task(self._schedule())
        self.a_node_joins(cpu=2, pods=3)

    # What users do.

    @rule(wanted=st.lists(wishes, min_size=1, max_size=5), wait_seconds=st.sampled_from([0.0, 0.02, 2.0]))
    def pods_are_made(self, wanted: list[tuple[int, bool, bool]], wait_seconds: float) -> None:
        free = [name for name in NAMES if name not in self.pods()]
        for name, (cpu, port, alone) in zip(free, wanted, strict=False):
            self.do(self.client.create(POD, new_pod(name, cpu, port=port, alone=alone)))
        self.do(asyncio.sleep(wait_seconds))

    @precondition(lambda self: self.pods())
    @rule(pick=picks)
    def a_pod_is_deleted(self, pick: int) -> None:
        name = sorted(self.pods())[pick % len(self.pods())]
        self.do(self.client.delete(POD, name, "default", grace_period_seconds=0))

    @precondition(lambda self: self.bound())
    @rule(pick=picks)
    def a_pod_succeeds(self, pick: int) -> None:
        name = sorted(self.bound())[pick % len(self.bound())]
        change = {"status": {"phase": "Succeeded"}}
        self.do(self.client.patch(POD, name, change, namespace="default", subresource="status"))

    # What nodes do.

    @rule(cpu=st.integers(1, 3), pods=st.integers(1, 4))
    def a_node_joins(self, cpu: int, pods: int) -> None:
        self.serial += 1
        name = f"node-{self.serial}"
        node = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
        self.do(self.client.create(NODE, node))
        room = {"status": {"allocatable": {"cpu": str(cpu), "memory": "8Gi", "pods": str(pods)}}}
        self.do(self.client.patch(NODE, name, room, subresource="status"))

    @precondition(lambda self: self.nodes())
    @rule(pick=picks)
    def a_node_leaves_with_its_pods(self, pick: int) -> None:
        name = sorted(self.nodes())[pick % len(self.nodes())]
        self.do(self.client.delete(NODE, name))
        for pod, obj in self.pods().items():
            if obj["spec"].get("nodeName") == name:
                self.do(self.client.delete(POD, pod, "default", grace_period_seconds=0))

    @precondition(lambda self: self.nodes())
    @rule(pick=picks, closed=st.booleans())
    def a_node_is_cordoned_or_opened(self, pick: int, closed: bool) -> None:
        name = sorted(self.nodes())[pick % len(self.nodes())]
        self.do(self.client.patch(NODE, name, {"spec": {"unschedulable": closed}}))

    # What the world does.

    @rule(seconds=st.sampled_from([0.0, 0.01, 1.0, 15.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule()
    def the_scheduler_is_killed_and_started_again(self) -> None:
        self._end(self.scheduler)
        self.scheduler = self.loop.create_task(self._schedule())

    @rule(forgotten=st.booleans())
    def watches_break(self, forgotten: bool) -> None:
        self.flaky.break_watches(forgotten=forgotten)

    @rule(number=st.integers(1, 3))
    def answers_are_lost(self, number: int) -> None:
        self.flaky.answers_to_lose += number

    @rule(seconds=st.sampled_from([0.5, 20.0]))
    def the_server_is_away_for_the_scheduler(self, seconds: float) -> None:
        self.flaky.down = True
        self.flaky.break_watches()
        self.do(asyncio.sleep(seconds))
        self.flaky.down = False

    # What must always be, and what must be in the end.

    @invariant()
    def no_node_has_more_than_it_has_room_for(self) -> None:
        for name in self.nodes():
            pods = self.on(name)
            room = self.room(name)
            assert sum(map(cpu_of, pods)) <= room["cpu"], name
            assert len(pods) <= room["pods"], name
            assert sum(map(has_port, pods)) <= 1, name
            assert sum(map(is_alone, pods)) <= 1, name

    def teardown(self) -> None:
        try:
            self.do(asyncio.sleep(SETTLE_SECONDS))
            self.no_node_has_more_than_it_has_room_for()
            for name, pod in self.pods().items():
                if not pod["spec"].get("nodeName"):
                    fitting = [node for node in self.nodes() if self.fits(pod, node)]
                    assert not fitting, f"{name} waits, and {fitting} have room"
        finally:
            self._end(self.scheduler)
            self._end(self.server)
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def fits(self, pod: Object, node: str) -> bool:
        pods, room = self.on(node), self.room(node)
        return (
            not self.nodes()[node].get("spec", {}).get("unschedulable")
            and sum(map(cpu_of, pods)) + cpu_of(pod) <= room["cpu"]
            and len(pods) < room["pods"]
            and not (has_port(pod) and any(map(has_port, pods)))
            and not (is_alone(pod) and any(map(is_alone, pods)))
        )

    # The machinery.

    def nodes(self) -> dict[str, Object]:
        return {obj["metadata"]["name"]: obj for obj in self.do(self.client.list(NODE)).items}

    def pods(self) -> dict[str, Object]:
        return {obj["metadata"]["name"]: obj for obj in self.do(self.client.list(POD)).items}

    def bound(self) -> list[str]:
        return [name for name, obj in self.pods().items() if obj["spec"].get("nodeName")]

    def on(self, node: str) -> list[Object]:
        """The pods that count on the node."""
        return [
            pod
            for pod in self.pods().values()
            if pod["spec"].get("nodeName") == node and pod["status"].get("phase") != "Succeeded"
        ]

    def room(self, node: str) -> Counter[str]:
        allocatable = self.nodes()[node].get("status", {}).get("allocatable") or {}
        return Counter(cpu=2 * int(allocatable.get("cpu", 0)), pods=int(allocatable.get("pods", 0)))

    def do(self, call: Any) -> Any:
        """Run until the call is done; a bug in the scheduler comes up here."""
        try:
            return self.loop.run_until_complete(call)
        finally:
            if hasattr(self, "scheduler") and self.scheduler.done():
                self.scheduler.result()

    def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))

    async def _serve(self) -> None:
        async with new_registry() as registry:
            self.client = LocalClient(registry)
            self.flaky = FlakyClient(self.client)
            self.ready.set()
            await asyncio.Event().wait()

    async def _schedule(self) -> None:
        clock, informers = LoopClock(START), Informers(self.flaky)
        recorder = EventRecorder(self.flaky, clock, "default-scheduler")
        scheduler = Scheduler(self.flaky, informers, recorder, clock)
        async with running(informers.run(), recorder.run(), scheduler.run()):
            await asyncio.Event().wait()


def new_pod(name: str, cpu: int, *, port: bool, alone: bool) -> Object:
    container: Object = {"name": "main", "image": "busybox"}
    container["resources"] = {"requests": {"cpu": f"{cpu * 500}m"}}
    if port:
        container["ports"] = [{"containerPort": 80, "hostPort": 80}]
    spec: Object = {"containers": [container]}
    if alone:
        selector = {"matchLabels": {"app": "alone"}}
        term = {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        spec["affinity"] = {"podAntiAffinity": required}
    labels = {"app": "alone"} if alone else {}
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": spec}


def cpu_of(pod: Object) -> int:
    """The pod's requests in halves of a CPU."""
    (container,) = pod["spec"]["containers"]
    return int(container["resources"]["requests"]["cpu"].removesuffix("m")) // 500


def has_port(pod: Object) -> bool:
    return bool(pod["spec"]["containers"][0].get("ports"))


def is_alone(pod: Object) -> bool:
    return "affinity" in pod["spec"]


World.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestScheduler = World.TestCase
