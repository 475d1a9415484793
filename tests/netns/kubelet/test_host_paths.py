"""A pod's hostPath is a path of its node: shared by the node's pods, and nothing of the machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.eventually import eventually
from support.real_node import RealNode

from fabric.api.kinds import EVENT


async def create(node: RealNode, name: str, path: str, type: str = "", **mount: Any) -> str:
    volume_mount = {"name": "data", "mountPath": "/data", **mount}
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sleep", "1000"],
        "volumeMounts": [volume_mount],
    }
    host_path = {"path": path, "type": type}
    volumes = [{"name": "data", "hostPath": host_path}]
    return await node.create(name, "busybox", containers=[container], volumes=volumes)


async def run(node: RealNode, pod: str, script: str) -> str:
    await node.phase(pod, "Running")
    _, printed = await node.exec(pod, "sh", "-c", script)
    return printed


def on_machine(path: str) -> bool:
    return os.path.exists(path)


async def said(node: RealNode, text: str) -> bool:
    async def is_said() -> bool:
        events = await node.client.list(EVENT)
        return any(text in event["message"] for event in events.items)

    return bool(await eventually(is_said))


async def test_pods_of_a_node_share_a_directory_that_the_machine_does_not_have(node: RealNode):
    async with node.kubelet():
        await create(node, "pod-1", "/data/shared", "DirectoryOrCreate")
        await run(node, "pod-1", "echo hello > /data/file")
        await create(node, "pod-2", "/data", "Directory", subPath="shared")
        assert await run(node, "pod-2", "cat /data/file") == "hello\n"
        assert not on_machine("/data/shared")


@pytest.fixture(params=["/tmp", "/run", "/var/tmp"])
def secret(request: pytest.FixtureRequest) -> Iterator[Path]:
    path = Path(request.param, f"fabric-test-{uuid.uuid4().hex}")
    path.write_text("secret")
    yield path
    path.unlink()


async def test_files_of_the_machine_are_not_the_nodes(node: RealNode, secret: Path):
    async with node.kubelet():
        await create(node, "pod-1", str(secret.parent), "Directory")
        assert secret.name not in await run(node, "pod-1", "ls -a /data")
        await create(node, "pod-2", str(secret), "File")
        assert await said(node, f"hostPath type check failed: {secret} is not a file")


async def test_neither_links_nor_dots_lead_out_of_the_node(node: RealNode, secret: Path):
    async with node.kubelet():
        await create(node, "pod-1", "/data", "DirectoryOrCreate")
        await run(node, "pod-1", f"ln -s ../../../../../..{secret} /data/out; ln -s / /data/root")
        await create(node, "pod-2", "/data/out", "File")
        assert await said(node, "hostPath type check failed: /data/out is not a file")
        await create(node, "pod-3", "/data", "Directory", subPath="root")
        assert await said(node, "subPath root leads out of its volume /data")


async def test_a_program_of_the_node_has_its_place_below_the_nodes_root(node: RealNode):
    async with node.kubelet():
        await create(node, "pod-1", "/etc", "Directory", readOnly=True)
        assert (await run(node, "pod-1", "cat /data/passwd")).startswith("root:")
        await create(node, "pod-2", "/data/new/file", "FileOrCreate")
        assert await said(
            node, "hostPath /data/new/file cannot be made on the node: No such file or directory"
        )
        await create(node, "pod-3", "/data", "Socket")
        assert await said(node, "hostPath type check failed: /data is not a socket file")


async def test_what_a_pod_writes_into_etc_is_its_nodes_alone(node: RealNode):
    async with node.kubelet():
        await create(node, "pod-1", "/etc", "Directory")
        await run(node, "pod-1", "echo x > /data/fabric-test-of-a-host-path")
        assert not on_machine("/etc/fabric-test-of-a-host-path")


async def test_the_whole_node_can_be_mounted_and_the_machines_part_of_it_read(node: RealNode):
    async with node.kubelet():
        await create(node, "pod-1", "/")
        assert await run(node, "pod-1", "echo x > /data/tmp/own && cat /data/tmp/own") == "x\n"
        refused = await run(
            node, "pod-1", "echo 1 > /data/proc/sys/kernel/panic; echo >/data/sys/x; cat /data/proc/1/comm"
        )
        assert refused.count("Read-only file system") == 2
        assert "catatonit" in refused


async def test_paths_of_more_folders_than_python_makes_by_itself_are_made(node: RealNode):
    deep = "d/" * 1_200
    async with node.kubelet():
        await create(node, "pod-1", f"/srv/{deep}", "DirectoryOrCreate")
        await create(node, "pod-2", "/srv", subPath=f"{deep}more")
        await create(node, "pod-3", "/srv", mountPath=f"/data/{deep}")
        await node.phase("pod-2", "Running")
        assert await run(node, "pod-1", "ls /data") == "more\n"
        assert await run(node, "pod-3", f"ls /data/{deep}") == "d\n"
