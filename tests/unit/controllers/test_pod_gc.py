import asyncio

from support.control_plane import control_plane

from fabric.api.kinds import NODE, POD

OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


async def test_pods_of_a_vanished_node_go_after_the_quarantine():
    async with control_plane(orphan_quarantine_seconds=5) as plane:
        for node in ("node-1", "node-2"):
            await plane.add_node(node)
            await plane.add_pod(f"pod-of-{node}", node)
        await plane.client.delete(NODE, "node-1")
        await asyncio.sleep(4)
        assert await plane.names(POD) == {"pod-of-node-1", "pod-of-node-2"}
        await asyncio.sleep(2)
        assert await plane.names(POD) == {"pod-of-node-2"}


async def test_a_node_that_comes_back_in_time_keeps_its_pods():
    async with control_plane(orphan_quarantine_seconds=5) as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await plane.client.delete(NODE, "node-1")
        await asyncio.sleep(3)
        await plane.add_node("node-1")
        await asyncio.sleep(20)
        assert await plane.names(POD) == {"pod-1"}


async def test_a_deleted_pod_that_was_never_bound_goes_at_once():
    async with control_plane() as plane:
        await plane.add_pod("pod-1")
        await plane.client.delete(POD, "pod-1", "default", grace_period_seconds=30)
        await asyncio.sleep(1)
        assert await plane.names(POD) == set()


async def test_a_deleted_pod_waits_for_its_kubelet_unless_the_node_is_out_of_service():
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await plane.add_pod("pod-1", "node-1")
        await plane.client.delete(POD, "pod-1", "default")
        await asyncio.sleep(50)
        assert await plane.names(POD) == {"pod-1"}
        standing = (await plane.client.get(NODE, "node-1"))["spec"]["taints"]
        await plane.client.patch(NODE, "node-1", {"spec": {"taints": [*standing, OUT_OF_SERVICE]}})
        await asyncio.sleep(1)
        assert await plane.names(POD) == set()


async def test_of_the_terminated_pods_the_oldest_go():
    async with control_plane(terminated_pods_max=2) as plane:
        await plane.add_node("node-1")
        for number in range(4):
            await plane.add_pod(f"pod-{number}", "node-1")
            await asyncio.sleep(1)
        for number in (3, 0, 2, 1):
            await plane.report(f"pod-{number}", phase="Succeeded", ready="False")
            await asyncio.sleep(1)
        assert await plane.names(POD) == {"pod-2", "pod-3"}
