"""What `up` does while it waits: it looks at what changed, and leaves the processors to who works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.memory_api import MemoryApi

from fabric.api import kinds
from fabric.cluster import manifests, stages
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.pod_readiness import PodReadiness
from fabric.topology.load import loads
from fabric.topology.model import Topology

PODS = 100
POD = (
    "{apiVersion: v1, kind: Pod, metadata: {name: pod-%d, namespace: default}, "
    "spec: {containers: [{name: pause, image: pause}]}}"
)
TOPOLOGY = (
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec:\n  nodes: 2\n  network: {plugin: flannel}\n  manifests:\n"
) + "".join(f"  - {POD % number}\n" for number in range(1, PODS + 1))


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterPaths:
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    made = ClusterPaths("t")
    made.make()
    return made


@pytest.fixture(scope="module")
def topology() -> Topology:
    return loads(TOPOLOGY, Path("t.yaml"))


@pytest.fixture(scope="module")
def spec(topology: Topology) -> specs.ClusterSpec:
    return specs.choose(topology, None, api_port=6443, workers=2)


def put(api: MemoryApi, number: int, node: str) -> None:
    meta = {"name": f"pod-{number}", "namespace": "default"}
    api.put(kinds.POD, {"metadata": meta, "spec": {"nodeName": node}, "status": {"phase": "Pending"}})


async def test_a_change_of_one_pod_among_many_that_are_not_up_has_one_pod_looked_at(
    paths, topology, spec, monkeypatch
):
    judged: list[str] = []
    is_stranded = manifests.is_stranded

    def counted(kind, obj, nodes):
        judged.append(obj["metadata"]["name"])
        return is_stranded(kind, obj, nodes)

    monkeypatch.setattr(manifests, "is_stranded", counted)
    api = MemoryApi()
    for number in range(1, PODS + 1):
        put(api, number, "node-1")
    waiting = PodReadiness(api, paths, spec, topology.manifests)
    following = asyncio.create_task(waiting.run())
    await waiting.synced()
    judged.clear()
    put(api, 7, "node-2")
    await waiting.pause(1)
    assert (await waiting.look())[:2] == (0, PODS)
    assert judged == ["pod-7"]
    following.cancel()


async def test_a_pod_that_is_bound_to_a_node_which_left_the_file_is_made_again(paths, topology, spec):
    api = MemoryApi()
    for number in range(1, PODS + 1):
        put(api, number, "node-9" if number == 7 else "node-1")
    waiting = PodReadiness(api, paths, spec, topology.manifests)
    following = asyncio.create_task(waiting.run())
    await waiting.synced()
    await waiting.look()
    following.cancel()
    bound = {key.name for (_, key), it in api.objects.items() if it["spec"].get("nodeName")}
    assert bound == {f"pod-{number}" for number in range(1, PODS + 1)} - {"pod-7"}
    assert len(api.objects) == PODS


async def test_however_often_pods_change_the_supervisor_is_looked_for_ten_times_a_second(
    paths, spec, monkeypatch
):
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    def supervisor_pid(_: ClusterPaths) -> int:
        asked.append(loop.time())
        return 1

    monkeypatch.setattr(stages, "supervisor_pid", supervisor_pid)
    settling = stages.Settling(paths, spec, [], [], lambda progress: None, seconds_max=60)
    ends = loop.time() + 2

    async def look() -> tuple[int, int, str]:
        return (0, 1, "pods change") if loop.time() < ends else (1, 1, "")

    await settling._stage("pods Running", look, lambda _: asyncio.sleep(0.01))
    await settling.close()
    assert 18 <= len(asked) <= 20
