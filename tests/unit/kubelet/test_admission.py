"""A kubelet fails a pod that names its node and that the node cannot have, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest
from support.one_node import OneNode, after, container

from fabric.api.kinds import EVENT, NODE, POD

HTTP = {"containerPort": 80, "hostPort": 8080}
NO_PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path, capacity={"cpu": "1", "memory": "1Gi", "pods": "3"}, labels={"rack": "a"})


def asking(**requests: str) -> dict[str, Any]:
    return {"container": {"resources": {"requests": requests}}}


def refusal(node: OneNode, name: str) -> tuple[str, str]:
    status = node.status(name)
    assert status["phase"] == "Failed"
    assert status["startTime"]
    return status["reason"], status["message"].removeprefix("Pod was rejected: ")


@pytest.mark.parametrize(
    ("first", "second", "reason", "message"),
    [
        (
            asking(cpu="600m"),
            asking(cpu="401m"),
            "OutOfcpu",
            "cpu, requested: 401, used: 600, capacity: 1000",
        ),
        (
            asking(memory="1Gi"),
            asking(memory="1"),
            "OutOfmemory",
            "memory, requested: 1, used: 1073741824, capacity: 1073741824",
        ),
    ],
)
async def test_what_is_taken_cannot_be_had_twice(node, first, second, reason, message):
    async with node.kubelet():
        node.create("pod-1", **first)
        await after(1)
        node.create("pod-2", **second)
        await after(1)
        text = f"Node didn't have enough resource: {message}"
        assert refusal(node, "pod-2") == (reason, text)
        assert (reason, text) in node.events()
        assert node.uid("pod-2") not in node.agent.attachments
        assert node.status("pod-1")["phase"] == "Running"


async def test_a_node_has_room_for_so_many_pods(node):
    async with node.kubelet():
        for number in range(1, 5):
            node.create(f"pod-{number}")
            await after(1)
        text = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
        assert refusal(node, "pod-4") == ("OutOfpods", text)


async def test_room_of_what_has_ended_is_free_again(node):
    async with node.kubelet():
        node.create("pod-1", restartPolicy="Never", **asking(cpu="1"))
        await after(1)
        node.runtime.end_container(node.container_id("pod-1"), 0)
        await after(1)
        node.create("pod-2", **asking(cpu="1"))
        await after(1)
        assert node.status("pod-2")["phase"] == "Running"
        node.delete("pod-2", grace_seconds=0)
        await after(3)
        node.create("pod-3", **asking(cpu="1"))
        await after(1)
        assert node.status("pod-3")["phase"] == "Running"


async def test_extended_resources_that_a_node_does_not_tell_of_are_not_its_matter(node):
    async with node.kubelet():
        node.create(**asking(**{"example.com/gpu": "1"}))
        await after(1)
        assert node.status()["phase"] == "Running"


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": {"rack": "b"}},
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "rack", "operator": "NotIn", "values": ["a"]}]}
                        ]
                    }
                }
            }
        },
    ],
)
async def test_a_node_that_the_pod_does_not_want(node, spec):
    async with node.kubelet():
        node.create(**spec)
        await after(1)
        text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        assert refusal(node, "pod-1") == ("NodeAffinity", text)


async def test_labels_of_the_moment_decide(node):
    async with node.kubelet():
        await after(1)
        labelled = node.node()
        labels = {**labelled["metadata"]["labels"], "rack": "b"}
        node.api.put(NODE, {**labelled, "metadata": {**labelled["metadata"], "labels": labels}})
        await after(0.1)
        node.create(nodeSelector={"rack": "b"})
        await after(1)
        assert node.status()["phase"] == "Running"


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        (HTTP, HTTP, True),
        (HTTP, {**HTTP, "protocol": "UDP"}, False),
        (HTTP, {**HTTP, "hostPort": 8081}, False),
        ({**HTTP, "hostIP": "127.0.0.1"}, {**HTTP, "hostIP": "127.0.0.2"}, False),
        ({**HTTP, "hostIP": "127.0.0.1"}, {**HTTP, "hostIP": "0.0.0.0"}, True),
        ({**HTTP, "hostIP": "127.0.0.1"}, HTTP, True),
    ],
)
async def test_a_host_port_is_had_once_by_address_port_and_protocol(node, first, second, is_taken):
    async with node.kubelet():
        node.create("pod-1", container={"ports": [first]})
        node.create("pod-2", container={"ports": [second]})
        await after(1)
        assert node.status("pod-1")["phase"] == "Running"
        if is_taken:
            assert refusal(node, "pod-2") == ("NodePorts", NO_PORTS)
        else:
            assert node.status("pod-2")["phase"] == "Running"


@pytest.mark.parametrize(("effect", "runs"), [("NoExecute", False), ("NoSchedule", True)])
async def test_a_taint_that_executes_is_not_survived(node, effect, runs):
    async with node.kubelet():
        await after(1)
        taint = {"key": "broken", "effect": effect}
        node.api.put(NODE, {**node.node(), "spec": {"taints": [taint]}})
        await after(0.1)
        node.create("pod-1")
        node.create("pod-2", tolerations=[{"key": "broken", "operator": "Exists"}])
        await after(1)
        assert node.status("pod-2")["phase"] == "Running"
        if runs:
            assert node.status("pod-1")["phase"] == "Running"
        else:
            text = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
            assert refusal(node, "pod-1") == ("TaintToleration", text)


async def test_the_older_is_admitted_first_whatever_its_name(node):
    older = node.create("pod-2", **asking(cpu="1"))
    younger = node.create("pod-1", **asking(cpu="1"))
    for number, pod in enumerate((older, younger)):
        meta = {**pod["metadata"], "creationTimestamp": f"2026-01-01T00:00:0{number}Z"}
        node.api.put(POD, {**pod, "metadata": meta})
    async with node.kubelet():
        await after(1)
        assert node.status("pod-2")["phase"] == "Running"
        assert refusal(node, "pod-1")[0] == "OutOfcpu"


async def test_a_restarted_kubelet_keeps_what_runs_before_it_takes_what_is_older(node):
    waiting = node.create("pod-2", **asking(cpu="1"))
    node.force_delete("pod-2")
    async with node.kubelet():
        node.create("pod-1", **asking(cpu="1"))
        await after(1)
    started = len(node.runtime.started)
    node.api.put(POD, waiting)
    async with node.kubelet():
        await after(1)
        assert node.status("pod-1")["phase"] == "Running"
        assert len(node.runtime.started) == started
        assert refusal(node, "pod-2")[0] == "OutOfcpu"


async def test_a_refused_pod_goes_when_it_is_deleted_and_leaves_nothing(node):
    async with node.kubelet():
        node.create("pod-1", containers=[container(resources={"requests": {"cpu": "2"}})])
        await after(1)
        uid = node.uid("pod-1")
        assert refusal(node, "pod-1")[0] == "OutOfcpu"
        await after(120)
        assert (
            len(
                [
                    e
                    for (kind, _), e in node.api.objects.items()
                    if kind is EVENT and e["reason"] == "OutOfcpu"
                ]
            )
            == 1
        )
        node.delete("pod-1", grace_seconds=0)
        await after(2)
        assert not node.exists("pod-1")
        assert await node.has_nothing_of(uid)
