"""A node's Ready is believed when the kubelet that runs now has said it, and not what one before it said."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.memory_api import MemoryApi

from fabric.api import kinds
from fabric.api.objects import micro_timestamp
from fabric.cluster import component_records, node_readiness, stages
from fabric.cluster import spec as specs
from fabric.cluster.cgroup import start_time
from fabric.cluster.component_records import ComponentRecord
from fabric.cluster.paths import ClusterPaths
from fabric.kubelet.noderegistration import LEASES
from fabric.topology.load import loads

TWO_NODES = (
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 2, network: {plugin: flannel}}\n"
)
SECOND = timedelta(seconds=1)


class World:
    """A cluster of two nodes with a worker each, of which processes, Nodes and Leases are made at will."""

    def __init__(self, paths: ClusterPaths, spec: specs.ClusterSpec) -> None:
        self.paths = paths
        self.spec = spec
        self.api = MemoryApi()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, worker: str) -> None:
        process = subprocess.Popen(["sleep", "600"])
        self.processes.append(process)
        component_records.write(self.paths, worker, ComponentRecord(process.pid, 0, start_time(process.pid)))

    def kill(self) -> None:
        """End the process that was started last."""
        self.processes[-1].kill()
        self.processes[-1].wait()

    def node(self, name: str, ready: str = "True", message: str = "kubelet is posting ready status") -> None:
        condition = {"type": "Ready", "status": ready, "message": message}
        self.api.put(kinds.NODE, {"metadata": {"name": name}, "status": {"conditions": [condition]}})

    def lease(self, name: str, renewed: datetime | None) -> None:
        metadata = {"name": name, "namespace": LEASES}
        spec = {"renewTime": micro_timestamp(renewed)} if renewed else {}
        self.api.put(kinds.LEASE, {"metadata": metadata, "spec": spec})

    async def late(self) -> dict[str, str]:
        return (await node_readiness.look(self.api, self.paths, self.spec)).late


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    paths = ClusterPaths("t")
    paths.make()
    made = World(paths, specs.choose(loads(TWO_NODES, Path("t.yaml")), None, api_port=6443, workers=2))
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


async def test_nodes_whose_kubelets_spoke_after_their_workers_began_are_ready(world):
    for number in (1, 2):
        world.start(f"worker-{number - 1}")
        world.node(f"node-{number}")
        world.lease(f"node-{number}", datetime.now(UTC))
    assert await world.late() == {}


async def test_what_the_kubelet_of_a_killed_worker_said_is_not_believed_until_the_next_one_speaks(world):
    for number in (1, 2):
        world.start(f"worker-{number - 1}")
        world.node(f"node-{number}")
        world.lease(f"node-{number}", datetime.now(UTC))
    world.kill()
    assert (await world.late())["node-2"] == "process worker-1, which runs its kubelet, is dead"
    before = datetime.now(UTC)
    world.start("worker-1")
    world.lease("node-2", before - SECOND / 50)
    assert await world.late() == {"node-2": "its kubelet has said nothing since process worker-1 was started"}
    world.lease("node-2", datetime.now(UTC))
    assert await world.late() == {}


@pytest.mark.parametrize("has_lease", [True, False])
async def test_without_a_lease_that_was_ever_renewed_nothing_vouches_for_a_node(world, has_lease):
    for number in (1, 2):
        world.start(f"worker-{number - 1}")
        world.node(f"node-{number}")
    world.lease("node-1", datetime.now(UTC))
    if has_lease:
        world.lease("node-2", None)
    assert list(await world.late()) == ["node-2"]


async def test_a_node_that_says_no_itself_is_told_in_its_own_words_and_one_that_is_not_there_as_such(world):
    world.start("worker-0")
    world.node("node-1", "False", "container runtime is down")
    assert await world.late() == {"node-1": "container runtime is down", "node-2": "not registered yet"}
    world.api.put(kinds.NODE, {"metadata": {"name": "node-2"}})
    assert (await world.late())["node-2"] == "no condition yet"


async def test_the_stage_of_up_goes_on_when_the_restarted_kubelet_has_spoken(world):
    me = os.getpid()
    component_records.write(world.paths, "supervisor", ComponentRecord(me, 0, start_time(me)))
    for number in (1, 2):
        world.start(f"worker-{number - 1}")
        world.node(f"node-{number}")
        world.lease(f"node-{number}", datetime.now(UTC) - SECOND * (number - 1) * 20)
    said: list[stages.Progress] = []
    settling = stages.Settling(world.paths, world.spec, [], [], said.append, seconds_max=60)
    settling.client = world.api

    async def speak() -> None:
        await asyncio.sleep(5)
        world.lease("node-2", datetime.now(UTC))

    speaking = asyncio.create_task(speak())
    await settling._stage("nodes Ready", settling._nodes)
    await speaking
    waited = [it for it in said if it.detail]
    assert {(it.detail, it.done, it.total) for it in waited} == {
        (
            "not Ready: node-2 (its kubelet has said nothing since process worker-1 was started)",
            1,
            2,
        )
    }
    assert (said[-1].state, said[-1].done) == ("done", 2)
