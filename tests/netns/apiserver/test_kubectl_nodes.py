"""What an operator types, and what only newer kubectls do: nodes, drains, waits, protobuf, versions."""

from __future__ import annotations

import asyncio
import re

import pytest

NODE = """
apiVersion: v1
kind: Node
metadata: {name: node-1}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: pod-1, labels: {app: web}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 0
  containers: [{name: web, image: nginx}]
"""
DRAIN = (
    "drain",
    "node-1",
    "--force",
    "--ignore-daemonsets",
    "--delete-emptydir-data",
    "--timeout=60s",
    "-v=6",
)


@pytest.fixture
async def node(kubectl):
    await kubectl("apply", "-f", "-", stdin=NODE)
    await kubectl("apply", "-f", "-", stdin=POD)


@pytest.mark.usefixtures("node")
async def test_cordon_and_uncordon_leave_no_trace(kubectl):
    assert await kubectl("cordon", "node-1") == "node/node-1 cordoned\n"
    assert (await kubectl.json("get", "node", "node-1"))["spec"]["unschedulable"] is True
    assert "SchedulingDisabled" in await kubectl("get", "nodes")
    assert await kubectl("uncordon", "node-1") == "node/node-1 uncordoned\n"
    assert "unschedulable" not in (await kubectl.json("get", "node", "node-1")).get("spec", {})


@pytest.mark.usefixtures("node")
async def test_drain_evicts_and_does_not_delete(kubectl):
    answer = await kubectl.attempt(*DRAIN)
    assert answer.code == 0, answer.err
    assert re.search(
        r"POST \S*/pods/pod-1/eviction\W.*201|verb=\"POST\" url=\"\S*/pods/pod-1/eviction\"", answer.err
    )
    assert not re.search(r"DELETE \S*/pods/pod-1|verb=\"DELETE\"", answer.err)
    assert (await kubectl.attempt("get", "pod", "pod-1")).code == 1


@pytest.mark.usefixtures("node")
async def test_taints_come_and_go(kubectl):
    await kubectl("taint", "nodes", "node-1", "dedicated=db:NoSchedule")
    taints = (await kubectl.json("get", "node", "node-1"))["spec"]["taints"]
    assert taints == [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]
    await kubectl("taint", "nodes", "node-1", "dedicated-")
    assert "taints" not in (await kubectl.json("get", "node", "node-1")).get("spec", {})
    await kubectl("label", "node", "node-1", "disk=ssd")
    assert "disk=ssd" in await kubectl("describe", "node", "node-1")


@pytest.mark.usefixtures("node")
async def test_wait_waits_for_a_condition_and_for_the_end(kubectl, http):
    async with kubectl.running("wait", "--for=condition=Ready", "pod/pod-1", "--timeout=60s") as waiting:
        await asyncio.sleep(0.3)
        assert waiting.returncode is None
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        path = "/api/v1/namespaces/default/pods/pod-1/status"
        await http("PATCH", path, ready, Content_Type="application/merge-patch+json")
        out, err = await asyncio.wait_for(waiting.communicate(), 60)
        assert out == b"pod/pod-1 condition met\n", err
    async with kubectl.running("wait", "--for=delete", "pod/pod-1", "--timeout=60s") as waiting:
        await asyncio.sleep(0.3)
        await kubectl("delete", "pod", "pod-1", "--force", "--grace-period=0")
        assert await asyncio.wait_for(waiting.wait(), 60) == 0


async def test_each_imperative_create_keeps_what_it_was_given(kubectl):
    """Newer clients send these as protobuf, and read the answer as such."""
    await kubectl("create", "namespace", "team")
    team = ("-n", "team")
    await kubectl(*team, "create", "configmap", "made", "--from-literal=a=b", "--from-literal=n=1")
    assert (await kubectl.json(*team, "get", "cm", "made"))["data"] == {"a": "b", "n": "1"}
    await kubectl(*team, "create", "secret", "generic", "hidden", "--from-literal=a=b", "--type=team/x")
    secret = await kubectl.json(*team, "get", "secret", "hidden")
    assert (secret["data"], secret["type"]) == ({"a": "Yg=="}, "team/x")
    await kubectl(*team, "create", "sa", "robot")
    assert "Name:                robot" in await kubectl(*team, "describe", "sa", "robot")
    assert "b\n" in await kubectl(*team, "describe", "cm", "made")
    answer = await kubectl.attempt(*team, "create", "configmap", "made")
    assert 'configmaps "made" already exists' in answer.err


async def test_nobody_asks_in_anothers_name(kubectl):
    answer = await kubectl.attempt("get", "pods", "--as=jane")
    assert answer.code == 1
    assert "Error from server (Forbidden): impersonation is not served (header Impersonate-User" in answer.err


async def test_the_version_is_near_enough_to_the_clients(kubectl):
    answer = await kubectl.attempt("version")
    assert answer.code == 0 and "v1.33" in answer.out
    if kubectl.version != "1.36":
        assert "exceeds the supported minor version skew" not in answer.err


async def test_groups_and_checks_are_told(kubectl):
    assert {"v1", "policy/v1", "coordination.k8s.io/v1"} <= set((await kubectl("api-versions")).split())
    assert await kubectl("get", "--raw", "/readyz?verbose") == (
        "[+]ping ok\n[+]log ok\n[+]etcd ok\nreadyz check passed\n"
    )


@pytest.mark.usefixtures("node")
async def test_what_is_not_served_is_refused_without_a_panic(kubectl):
    for words in (
        ("debug", "pod-1", "--image=busybox"),
        ("get", "deployments"),
        ("rollout", "status", "deployment/x"),
        ("auth", "can-i", "get", "pods"),
        ("scale", "--replicas=2", "pod/pod-1"),
        ("top", "nodes"),
    ):
        answer = await kubectl.attempt(*words)
        assert answer.code != 0 and "panic" not in answer.err, f"{words}: {answer.err}"


@pytest.mark.usefixtures("node")
async def test_a_namespace_of_many_is_deleted_by_name_only(kubectl):
    await kubectl("create", "namespace", "team")
    await kubectl("delete", "namespace", "team", "--wait=false")
    answer = await kubectl.attempt("delete", "--raw", "/api/v1/namespaces")
    assert answer.code == 1 and "MethodNotAllowed" in answer.err
