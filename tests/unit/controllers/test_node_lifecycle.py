import asyncio
from contextlib import asynccontextmanager

from support.control_plane import ControlPlane, control_plane, controllers_on
from support.registry import START, new_registry

from fabric.api.kinds import EVENT, NODE, POD
from fabric.api.objects import condition, condition_is
from fabric.apiserver.local import LocalClient
from fabric.control.client import STRATEGIC
from fabric.control.clock import LoopClock
from fabric.errors import ServerUnavailable

UNREACHABLE = {
    ("node.kubernetes.io/unreachable", "NoSchedule"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
}


async def taints(plane, node="node-1"):
    spec = (await plane.client.get(NODE, node)).get("spec") or {}
    return {(taint["key"], taint["effect"]) for taint in spec.get("taints") or ()}


@asynccontextmanager
async def beating(plane, node="node-1"):
    async def beat():
        while True:
            await plane.beat(node)
            await asyncio.sleep(10)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_node_that_reports_stays_ready_and_untainted():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        async with beating(plane):
            await asyncio.sleep(300)
        node = await plane.client.get(NODE, "node-1")
        assert condition_is(node, "Ready")
        assert await taints(plane) == set()


async def test_a_node_that_falls_silent_is_unknown_after_the_grace():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await asyncio.sleep(39)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready")
        await asyncio.sleep(2)
        ready = condition(await plane.client.get(NODE, "node-1"), "Ready")
        assert ready["status"] == "Unknown"
        assert ready["reason"] == "NodeStatusUnknown"
        assert ready["message"] == "Kubelet stopped posting node status."
        assert ready["lastTransitionTime"] == "2026-01-01T00:00:40Z"
        assert await taints(plane) == UNREACHABLE
        events = (await plane.client.list(EVENT)).items
        assert [event["message"] for event in events] == [
            "Node node-1 event: Registered Node node-1 in Controller",
            "Node node-1 status is now: NodeNotReady",
        ]
        assert {event["source"]["component"] for event in events} == {"node-controller"}


async def node_events(plane):
    listed = (await plane.client.list(EVENT)).items
    return [event["reason"] for event in listed if event["involvedObject"]["name"] == "node-1"]


async def test_a_node_that_goes_and_comes_again_is_told_of():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await asyncio.sleep(1)
        await plane.client.delete(NODE, "node-1")
        await asyncio.sleep(1)
        await plane.add_node("node-1")
        await asyncio.sleep(1)
        assert await node_events(plane) == ["RegisteredNode", "RemovingNode", "RegisteredNode"]


async def test_a_node_that_was_not_ready_when_it_fell_silent_is_not_told_of_again():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.beat("node-1", ready="False")
        await asyncio.sleep(50)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready", "Unknown")
        assert await node_events(plane) == ["RegisteredNode"]


async def test_the_grace_can_be_set():
    async with control_plane(node_monitor_grace_seconds=4) as plane:
        await plane.add_node("node-1")
        await asyncio.sleep(5)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready", "Unknown")


async def test_a_node_that_never_reported_is_given_longer():
    async with control_plane() as plane:
        await plane.client.create(NODE, {"metadata": {"name": "node-1"}})
        await asyncio.sleep(59)
        assert condition(await plane.client.get(NODE, "node-1"), "Ready") is None
        assert await taints(plane) == {("node.kubernetes.io/not-ready", "NoSchedule")}
        await asyncio.sleep(2)
        ready = condition(await plane.client.get(NODE, "node-1"), "Ready")
        assert ready["reason"] == "NodeStatusNeverUpdated"


async def test_the_pods_of_a_silent_node_are_not_ready_and_stay():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await asyncio.sleep(45)
        pod = await plane.client.get(POD, "pod-1", "default")
        assert condition_is(pod, "Ready", "False")
        assert pod["status"]["phase"] == "Running"
        await plane.report("pod-1", phase="Running", ready="True")
        await asyncio.sleep(1)
        assert condition_is(await plane.client.get(POD, "pod-1", "default"), "Ready", "False")


async def test_a_node_that_comes_back_is_as_before():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await asyncio.sleep(60)
        await plane.beat("node-1")
        await asyncio.sleep(1)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready")
        assert await taints(plane) == set()


async def test_taints_follow_what_the_kubelet_and_the_user_say():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.beat("node-1", ready="False", NetworkUnavailable="True")
        await plane.client.patch(NODE, "node-1", {"spec": {"unschedulable": True}})
        await asyncio.sleep(1)
        assert await taints(plane) == {
            ("node.kubernetes.io/not-ready", "NoSchedule"),
            ("node.kubernetes.io/not-ready", "NoExecute"),
            ("node.kubernetes.io/network-unavailable", "NoSchedule"),
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
        }
        mine = {"key": "team", "value": "net", "effect": "NoSchedule"}
        await plane.client.patch(NODE, "node-1", {"spec": {"taints": [mine], "unschedulable": None}})
        await plane.beat("node-1", NetworkUnavailable="False")
        await asyncio.sleep(1)
        assert await taints(plane) == {("team", "NoSchedule")}


async def test_silence_counts_only_while_the_server_could_be_heard():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        hear = plane.client.get
        heard = True

        async def get(kind, name, namespace=""):
            if not heard:
                raise ServerUnavailable("restarting")
            return await hear(kind, name, namespace)

        plane.client.get = get
        heard = False
        await asyncio.sleep(50)
        heard = True
        await asyncio.sleep(25)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready")
        await asyncio.sleep(20)
        assert condition_is(await plane.client.get(NODE, "node-1"), "Ready", "Unknown")


async def test_a_pod_leaves_a_silent_node_after_its_toleration():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await asyncio.sleep(335)
        assert "deletionTimestamp" not in (await plane.client.get(POD, "pod-1", "default"))["metadata"]
        await asyncio.sleep(10)
        pod = await plane.client.get(POD, "pod-1", "default")
        assert pod["metadata"]["deletionTimestamp"]
        target = condition(pod, "DisruptionTarget")
        assert (target["reason"], target["observedGeneration"]) == ("DeletionByTaintManager", 1)
        assert pod["metadata"]["generation"] == 2


async def test_a_pod_stays_when_its_node_comes_back_in_time():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await asyncio.sleep(300)
        async with beating(plane):
            await asyncio.sleep(300)
        assert "deletionTimestamp" not in (await plane.client.get(POD, "pod-1", "default"))["metadata"]
        assert await evictions(plane) == ["Cancelling deletion of Pod default/pod-1"]


async def evictions(plane):
    listed = (await plane.client.list(EVENT)).items
    return [event["message"] for event in listed if event["reason"] == "TaintManagerEviction"]


async def test_a_pod_that_goes_before_its_time_is_told_of_and_one_that_need_not_leave_is_not():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await plane.add_pod("pod-2", "node-1")
        await asyncio.sleep(100)
        await plane.client.delete(POD, "pod-1", "default", grace_period_seconds=0)
        await asyncio.sleep(100)
        assert await evictions(plane) == ["Cancelling deletion of Pod default/pod-1"]
        async with beating(plane):
            await asyncio.sleep(20)
            await plane.client.delete(POD, "pod-2", "default", grace_period_seconds=0)
            await asyncio.sleep(20)
        assert await evictions(plane) == [f"Cancelling deletion of Pod default/pod-{i}" for i in (1, 2)]


async def test_a_no_execute_taint_of_the_user_evicts_who_does_not_tolerate_it():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await plane.add_pod("pod-2", "node-1")
        tolerations = (await plane.client.get(POD, "pod-2", "default"))["spec"]["tolerations"]
        more = [*tolerations, {"key": "team", "operator": "Exists"}]
        await plane.client.patch(POD, "pod-2", {"spec": {"tolerations": more}}, namespace="default")
        change = {"spec": {"taints": [{"key": "team", "effect": "NoExecute"}]}}
        await plane.client.patch(NODE, "node-1", change, patch_type=STRATEGIC)
        await asyncio.sleep(1)
        deleting = {
            pod["metadata"]["name"]: "deletionTimestamp" in pod["metadata"]
            for pod in (await plane.client.list(POD)).items
        }
        assert deleting == {"pod-1": True, "pod-2": False}


async def test_toleration_seconds_count_from_when_the_taint_was_met_also_over_a_restart():
    clock = LoopClock(START)
    async with new_registry() as registry:
        client = LocalClient(registry)
        plane = ControlPlane(client, clock)

        async def is_deleting():
            return "deletionTimestamp" in (await client.get(POD, "pod-1", "default"))["metadata"]

        async with controllers_on(client, clock, node_monitor_grace_seconds=10_000):
            await plane.add_node("node-1")
            pod = await plane.add_pod("pod-1", "node-1")
            patient = {"key": "team", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
            more = [*pod["spec"]["tolerations"], patient]
            await client.patch(POD, "pod-1", {"spec": {"tolerations": more}}, namespace="default")
            await asyncio.sleep(1000)
            change = {"spec": {"taints": [{"key": "team", "effect": "NoExecute"}]}}
            await client.patch(NODE, "node-1", change, patch_type=STRATEGIC)
            await asyncio.sleep(30)
            assert not await is_deleting()
        await asyncio.sleep(10)
        async with controllers_on(client, clock, node_monitor_grace_seconds=10_000):
            await asyncio.sleep(15)
            assert not await is_deleting()
            await asyncio.sleep(6)
            assert await is_deleting()
