"""No processes, no descriptors, no disk: the supervisor lives, says so, and carries on when there is room."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import TOP, Cluster, own_folders, pod
from support.eventually import eventually
from support.pids_group import pids_group
from support.small_disk import SmallDisk
from support.small_disk import small_disk as make_small_disk


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("no-room"), nodes=1, pods=[pod("pod-1")])
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.close()


def told(cluster: Cluster) -> str:
    return (cluster.state_folder / "logs/supervisor.log").read_text()


async def test_without_processes_a_dead_component_is_told_and_comes_back_when_there_is_room(running):
    supervisor = running.pid("supervisor")
    with pids_group() as group:
        (group / "cgroup.procs").write_text(str(supervisor))
        (group / "pids.max").write_text("1")
        os.kill(running.pid("control"), signal.SIGKILL)
        words = "process control is dead: cannot be started: "
        await eventually(lambda: any(it.startswith(words) for it in running.status()["troubles"]))
        (group / "pids.max").write_text("max")
        await eventually(lambda: running.pid("control"))
    assert running.pid("supervisor") == supervisor
    assert "control cannot be started: Resource temporarily unavailable" in told(running)
    running.up()
    assert running.status()["troubles"] == []


async def test_without_descriptors_components_are_tried_again_until_there_are_some(running):
    supervisor = running.pid("supervisor")
    before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        os.kill(running.pid("control"), signal.SIGKILL)
        await eventually(lambda: told(running).count("control ended with 1") > 1)
    finally:
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
    await eventually(lambda: running.pid("control"))
    assert running.pid("supervisor") == supervisor
    assert "Too many open files" in told(running)
    running.up()
    assert running.status()["troubles"] == []


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    with (
        own_folders() as places,
        make_small_disk(Path(places["FABRIC_RUN_DIR"]).parent, "48m", places) as disk,
    ):
        yield disk


def fabric(disk: SmallDisk, *arguments: str) -> subprocess.CompletedProcess[str]:
    return disk.run(sys.executable, "-P", "-m", "fabric", *arguments, cwd=TOP)


async def test_a_full_disk_ends_no_supervisor_and_the_cluster_carries_on_when_there_is_room(
    small_disk: SmallDisk, tmp_path: Path
):
    name = f"test-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "t.yaml"
    spec = {"nodes": 1, "network": {"plugin": "flannel"}, "manifests": [pod("pod-1")]}
    head = {"apiVersion": "fabric.dev/v1", "kind": "Topology", "metadata": {"name": name}}
    file.write_text(json.dumps(head | {"spec": spec}))
    try:
        up = fabric(small_disk, "up", str(file))
        assert up.returncode == 0, up.stderr
        before = status(small_disk, name)
        small_disk.fill()
        for component in ("api", "control", "worker-0", "underlay", "runtime-0"):
            os.kill(before["processes"][component], signal.SIGKILL)

        supervisor = before["processes"]["supervisor"]
        await eventually(lambda: {"fabric:worker-0", "fabric:control"} <= children(supervisor))
        told = status(small_disk, name)["troubles"]
        assert [it for it in told if it.startswith("the disk of ") and it.endswith(" is full")]
        again = fabric(small_disk, "up", str(file), "--timeout", "2")
        assert again.returncode in (0, 1)
        if again.returncode:
            assert re.search(r"stage '.*; the disk of \S+ is full; after", again.stderr)
        assert "Traceback" not in again.stderr
        small_disk.free()
        up = fabric(small_disk, "up", str(file))
        assert up.returncode == 0, up.stderr
        after = status(small_disk, name)
        assert (after["troubles"], after["processes"]["supervisor"]) == ([], supervisor)
    finally:
        down = fabric(small_disk, "down", name)
    assert down.returncode == 0, down.stderr


def status(disk: SmallDisk, name: str) -> dict:
    found = json.loads(fabric(disk, "status", name, "-o", "json").stdout)
    return found | {"processes": {it["name"]: it["pid"] for it in found["processes"]}}


def children(pid: int) -> set[str]:
    """Names of the processes that this one has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{child}/comm").read_text().strip() for child in found}


def test_up_on_a_full_disk_is_refused_in_one_line_and_leaves_nothing(small_disk: SmallDisk, tmp_path: Path):
    small_disk.fill()
    done = fabric(small_disk, "up", str(TOP / "topologies/two-nodes.yaml"))
    try:
        assert done.returncode == 1
        assert "the disk is full: free some of it" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        assert fabric(small_disk, "down", "two-nodes").returncode == 0
