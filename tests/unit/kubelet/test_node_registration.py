"""The Node and its Lease: made, kept alive, made again, and honest about what works."""

from __future__ import annotations

import pytest
from support.flaky_client import FlakyClient
from support.one_node import NODE_NAME, OneNode, after

from fabric.api.kinds import EVENT, LEASE, NODE
from fabric.api.objects import Key, condition, condition_is
from fabric.netstate.objects import Bridge


@pytest.fixture
def node(tmp_path):
    return OneNode(
        tmp_path, labels={"zone": "a"}, capacity={"cpu": "16"}, taints=[{"key": "x", "effect": "NoSchedule"}]
    )


async def test_the_node_registers_with_labels_capacity_and_addresses(node):
    async with node.kubelet():
        await after(1)
        labels = node.node()["metadata"]["labels"]
        assert labels["kubernetes.io/hostname"] == NODE_NAME
        assert labels["kubernetes.io/os"] == "linux"
        assert labels["zone"] == "a"
        assert node.node()["spec"]["taints"] == [{"key": "x", "effect": "NoSchedule"}]
        status = node.node()["status"]
        assert status["capacity"] == status["allocatable"] == {"cpu": "16", "memory": "8Gi", "pods": "110"}
        assert {"type": "InternalIP", "address": "192.168.0.11"} in status["addresses"]
        assert status["nodeInfo"]["kubeletVersion"] == "v1.33.0-fabric"
        assert status["nodeInfo"]["containerRuntimeVersion"].startswith("fabric://")


async def test_the_node_is_ready_soon_after_its_network(node):
    node.agent.ready = False
    async with node.kubelet():
        await after(3)
        assert condition_is(node.node(), "Ready", "False")
        assert condition_is(node.node(), "NetworkUnavailable", "True")
        assert "network not ready" in condition(node.node(), "Ready")["message"]
        node.agent.ready = True
        await after(2.1)
        assert condition_is(node.node(), "Ready")
        assert condition(node.node(), "NetworkUnavailable")["reason"] == "FakeIsUp"


async def test_a_node_that_does_not_reach_the_api_tries_again_as_soon_as_its_network_changes(node):
    node.heartbeats = way = FlakyClient(node.api)
    way.down = True
    async with node.kubelet():
        await after(60)
        assert (NODE, Key("", NODE_NAME)) not in node.api.objects
        way.down = False
        node.kernel.host(NODE_NAME).tamper_add(Bridge("br0"))
        await after(0.3)
        assert condition_is(node.node(), "Ready")


async def test_a_node_that_reaches_the_api_writes_nothing_when_its_network_changes(node):
    async with node.kubelet():
        await after(1)
        asked = list(node.api.calls)
        node.kernel.host(NODE_NAME).tamper_add(Bridge("br0"))
        await after(1)
        assert node.api.calls == asked


async def test_the_networks_subnet_is_the_nodes_pod_cidr_and_stays(node):
    async with node.kubelet():
        await after(1)
        assert "podCIDR" not in node.node()["spec"]
        for cidrs in (("10.244.1.0/24", "fd00:1::/64"), ("10.244.2.0/24",)):
            node.agent.pod_cidrs = cidrs
            await after(15)
            assert node.node()["spec"]["podCIDR"] == "10.244.1.0/24"
            assert node.node()["spec"]["podCIDRs"] == ["10.244.1.0/24", "fd00:1::/64"]


def told(node: OneNode) -> list[tuple[str, str]]:
    """(reason, message) of the node's events, whose UID is its name as kubelet writes it."""
    events = [obj for (kind, _), obj in node.api.objects.items() if kind is EVENT]
    whose = {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME, "uid": NODE_NAME}
    assert all(whose.items() <= it["involvedObject"].items() for it in events)
    assert all(it["source"] == {"component": "kubelet", "host": NODE_NAME} for it in events)
    return [(it["reason"], it["message"]) for it in events]


async def test_the_node_tells_its_start_and_each_change_of_its_conditions_once(node):
    node.agent.ready = False
    async with node.kubelet():
        await after(3)
        calm = ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]
        assert told(node) == [
            ("Starting", "Starting kubelet."),
            *((reason, f"Node node-1 status is now: {reason}") for reason in calm),
        ]
        node.agent.ready = True
        await after(700)
        assert told(node)[4:] == [("NodeReady", "Node node-1 status is now: NodeReady")]
        node.agent.ready = False
        await after(15)
        assert told(node)[5:] == [("NodeNotReady", "Node node-1 status is now: NodeNotReady")]


async def test_a_node_that_is_cordoned_tells_it(node):
    async with node.kubelet():
        await after(3)
        for is_cordoned, reason in ((True, "NodeNotSchedulable"), (False, "NodeSchedulable")):
            spec = {**node.node()["spec"], "unschedulable": is_cordoned}
            node.api.put(NODE, {**node.node(), "spec": spec})
            await after(15)
            assert told(node)[-1] == (reason, f"Node node-1 status is now: {reason}")


async def test_a_node_at_rest_asks_for_nothing(node):
    async with node.kubelet():
        await after(1)
        asked = [call for call in node.api.calls if call.startswith("get")]
        await after(100)
        assert [call for call in node.api.calls if call.startswith("get")] == asked


async def test_the_node_is_not_ready_while_the_runtime_is_away(node):
    async with node.kubelet():
        await after(1)
        node.runtime.down = True
        node.runtime.restart()
        node.runtime.down = True
        await after(15)
        assert condition(node.node(), "Ready")["message"] == "container runtime is down"
        node.runtime.restart()
        await after(15)
        assert condition_is(node.node(), "Ready")


async def test_the_lease_is_renewed_at_each_heartbeat(node):
    async with node.kubelet():
        await after(1)
        lease = node.api.objects[LEASE, Key("kube-node-lease", NODE_NAME)]
        assert lease["spec"]["holderIdentity"] == NODE_NAME
        assert lease["spec"]["leaseDurationSeconds"] == 40
        first = lease["spec"]["renewTime"]
        await after(100)
        renewed = node.api.objects[LEASE, Key("kube-node-lease", NODE_NAME)]["spec"]["renewTime"]
        assert renewed > first
        assert sum(call == f"patch leases {NODE_NAME}" for call in node.api.calls) in (10, 11)


async def test_a_node_that_somebody_deleted_registers_again(node):
    async with node.kubelet():
        await after(1)
        node.api.remove(NODE, Key("", NODE_NAME))
        node.api.remove(LEASE, Key("kube-node-lease", NODE_NAME))
        await after(11)
        assert condition_is(node.node(), "Ready")
        assert (LEASE, Key("kube-node-lease", NODE_NAME)) in node.api.objects


async def test_a_condition_that_another_wrote_over_ours_is_put_right(node):
    async with node.kubelet():
        await after(1)
        stale = node.node()
        conditions = [{**each, "status": "Unknown"} for each in stale["status"]["conditions"]]
        foreign = {"type": "Custom", "status": "True"}
        node.api.put(NODE, {**stale, "status": {**stale["status"], "conditions": [*conditions, foreign]}})
        await after(11)
        assert condition_is(node.node(), "Ready")
        assert condition_is(node.node(), "Custom")


async def test_the_status_of_a_calm_node_is_written_every_five_minutes(node):
    async with node.kubelet():
        await after(1)
        before = sum(call == f"patch nodes {NODE_NAME}" for call in node.api.calls)
        await after(900)
        assert sum(call == f"patch nodes {NODE_NAME}" for call in node.api.calls) - before in (2, 3)


async def test_an_existing_node_is_adopted_and_keeps_what_others_gave_it(node):
    labels = {"team": "blue", "zone": "old"}
    node.api.put(NODE, {"metadata": {"name": NODE_NAME, "labels": labels}, "spec": {"unschedulable": True}})
    async with node.kubelet():
        await after(1)
        assert node.node()["metadata"]["labels"]["team"] == "blue"
        assert node.node()["metadata"]["labels"]["zone"] == "a"
        assert node.node()["spec"] == {"unschedulable": True}


async def test_network_unavailable_is_the_first_condition_and_ready_the_last(node):
    async with node.kubelet():
        await after(1)
        types = [entry["type"] for entry in node.node()["status"]["conditions"]]
        assert (types[0], types[-1]) == ("NetworkUnavailable", "Ready")
