"""What a user may write and no node can do: it shows in that pod's status, and disturbs no other."""

from __future__ import annotations

import base64

import pytest
from support.one_node import OneNode, after, container

from fabric.api.kinds import CONFIG_MAP, POD
from fabric.api.objects import condition
from fabric.runtime.contract import RuntimeRefused

LONG = "n" * 253


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


async def test_a_container_that_the_runtime_refuses_waits_and_says_why(node, monkeypatch):
    async def refuse(spec):
        raise RuntimeRefused("mount /etc/passwd: not a directory")

    async with node.kubelet():
        with monkeypatch.context() as patch:
            patch.setattr(node.runtime, "start_container", refuse)
            node.create()
            await after(1)
            why = {"reason": "CreateContainerError", "message": "mount /etc/passwd: not a directory"}
            assert node.state() == {"waiting": why}
            assert ("Failed", "Error: mount /etc/passwd: not a directory") in node.events()
        await after(10)
        assert "running" in node.state()


async def test_a_nul_byte_in_a_command_waits_and_others_run(node):
    async with node.kubelet():
        node.create("pod-1", container={"command": ["echo", "a\0b"]})
        node.create("pod-2")
        await after(1)
        assert node.state("pod-1")["waiting"]["reason"] == "CreateContainerError"
        assert "NUL byte" in node.state("pod-1")["waiting"]["message"]
        assert "running" in node.state("pod-2")


async def test_a_name_too_long_for_a_log_directory_waits_and_others_run(node):
    async with node.kubelet():
        node.create(LONG)
        node.create("pod-2")
        await after(1)
        assert node.state(LONG)["waiting"]["reason"] == "CreateContainerError"
        assert "File name too long" in node.state(LONG)["waiting"]["message"]
        assert "running" in node.state("pod-2")


async def test_binary_data_of_a_map_becomes_no_variable(node):
    meta = {"name": "settings", "namespace": "default"}
    binary = base64.b64encode(b"\0\1").decode()
    node.api.put(CONFIG_MAP, {"metadata": meta, "data": {"plain": "x"}, "binaryData": {"binary": binary}})
    async with node.kubelet():
        node.create(container={"envFrom": [{"configMapRef": {"name": "settings"}}]})
        await after(1)
        env = node.runtime.started[-1].env
        assert (env["plain"], "binary" in env) == ("x", False)


@pytest.mark.parametrize("links", [["loop"], [f"link-{number}" for number in range(3_000)]])
async def test_links_that_lead_to_links_for_ever_are_refused_as_a_sub_path(node, links):
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/x", "subPath": links[0]},
    ]
    late = container("late", volumeMounts=mounts)
    first = container("first", command=["sleep", "5"])
    async with node.kubelet():
        directory = node.config.pods_directory
        node.create(volumes=[{"name": "data", "emptyDir": {}}], initContainers=[first], containers=[late])
        await after(1)
        for link, target in zip(links, [*links[1:], links[0]], strict=True):
            (directory / node.uid() / "volumes/data" / link).symlink_to(target)
        node.runtime.end_container(node.runtime.started[0].id, 0)
        await after(1)
        assert node.state()["waiting"]["reason"] == "CreateContainerConfigError"


async def test_a_volume_that_asks_for_an_unknown_field_says_so(node):
    items = [{"path": "x", "fieldRef": {"fieldPath": "status.nothing"}}]
    async with node.kubelet():
        node.create(volumes=[{"name": "down", "downwardAPI": {"items": items}}])
        await after(1)
        assert any(reason == "FailedMount" and "status.nothing" in text for reason, text in node.events())


async def test_the_status_names_the_image_that_runs(node):
    async with node.kubelet():
        node.create()
        await after(1)
        spec = {**node.pod()["spec"], "containers": [container(image="busybox")]}
        node.api.put(POD, {**node.pod(), "spec": spec})
        await after(61)
        assert node.status()["containerStatuses"][0]["image"] == "nginx"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"envFrom": [{"configMapRef": {"optional": False}}]}, 'configmap "" not found'),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}]}, 'secret "" not found'),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "x"}},
                    }
                ]
            },
            "resourceFieldRef of limits.cpu: 'x' is not a quantity (such as 250m, 1.5Gi or 2)",
        ),
    ],
)
async def test_a_reference_that_cannot_be_followed_is_a_config_error(node, wanted, message):
    async with node.kubelet():
        node.create(container=wanted)
        await after(1)
        assert node.state()["waiting"] == {"reason": "CreateContainerConfigError", "message": message}


async def test_a_status_that_somebody_maimed_is_written_anew(node):
    async with node.kubelet():
        node.create()
        await after(1)
        maimed = {"conditions": [{"type": "Ready", "status": "True"}, {}], "containerStatuses": [{}]}
        node.api.put(POD, {**node.pod(), "status": maimed})
        await after(61)
        ready = condition(node.pod(), "Ready")
        assert ready is not None
        assert (ready["status"], bool(ready["lastTransitionTime"])) == ("True", True)
        assert "running" in node.state()
