"""Two writers of different conditions lose nothing, however their writes interleave."""

import asyncio

import pytest
from support.one_node import NODE_NAME, OneNode, after

from fabric.api.kinds import NODE, POD
from fabric.api.objects import condition, condition_is
from fabric.control.client import STRATEGIC

GATE = "example.com/open"


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


def write_before_each_status(node, kind, name, namespace, conditions):
    """Another writer is always a moment earlier than the kubelet: its write is in no cache yet."""
    patch, left = node.api.patch, list(conditions)

    async def patched(of, *arguments, **options):
        if of is kind and options.get("subresource") == "status" and left:
            change = {"status": {"conditions": [left.pop(0)]}}
            await patch(kind, name, change, namespace=namespace, subresource="status", patch_type=STRATEGIC)
        return await patch(of, *arguments, **options)

    node.api.patch = patched


async def test_a_condition_of_a_pod_that_was_written_a_moment_earlier_stays(node):
    others = [{"type": f"example.com/{n}", "status": "True"} for n in range(3)]
    write_before_each_status(node, POD, "pod-1", "default", others)
    async with node.kubelet():
        node.create()
        await after(5)
        assert condition_is(node.pod(), "Ready")
        node.runtime.kill_sandbox(node.uid())
        await after(60)
        assert all(condition_is(node.pod(), each["type"]) for each in others)


async def test_a_readiness_gate_that_opens_a_moment_earlier_makes_the_pod_ready(node):
    write_before_each_status(node, POD, "pod-1", "default", [{"type": GATE, "status": "True"}])
    async with node.kubelet():
        node.create(readinessGates=[{"conditionType": GATE}])
        await after(5)
        assert condition_is(node.pod(), GATE)
        assert condition_is(node.pod(), "Ready")


async def test_a_condition_loses_its_reason_when_it_holds(node):
    async with node.kubelet():
        node.create(readinessGates=[{"conditionType": GATE}])
        await after(5)
        assert condition(node.pod(), "Ready")["reason"] == "ReadinessGatesNotReady"
        change = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
        await node.api.patch(POD, "pod-1", change, namespace="default", patch_type=STRATEGIC)
        await after(1)
        assert condition(node.pod(), "Ready").keys() == {"type", "status", "lastTransitionTime"}


async def test_a_condition_of_a_node_that_was_written_a_moment_earlier_stays(node):
    others = [{"type": f"example.com/{n}", "status": "True"} for n in range(3)]
    async with node.kubelet():
        await after(1)
        write_before_each_status(node, NODE, NODE_NAME, "", others)
        for ready in (False, True):
            node.runtime.down = not ready
            await after(700)
        node.runtime.restart()
        await after(700)
        assert all(condition_is(node.node(), each["type"]) for each in others)
        assert condition_is(node.node(), "Ready")


async def test_addresses_that_a_pod_has_no_more_go_from_its_status(node):
    async with node.kubelet():
        node.create()
        await after(5)
        pod = node.pod()
        stale = [{"ip": "10.9.9.9"}]
        node.api.put(POD, {**pod, "status": {**pod["status"], "podIPs": stale, "hostIPs": stale}})
        await after(90)
        assert node.status()["podIPs"] == [{"ip": node.status()["podIP"]}]
        assert node.status()["hostIPs"] == [{"ip": "192.168.0.11"}]
        await asyncio.sleep(0)
