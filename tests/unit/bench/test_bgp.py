"""`bench bgp`: its clusters peer as their shape says, and figures are medians over the runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace

import pytest

from fabric.bench import bgp
from fabric.bench.bgp_run import Converged
from fabric.errors import FabricError


def resources(shape: str, keepalive_seconds: int = 0) -> dict[str, dict[str, object]]:
    """The specs of the network's resources, by kind."""
    options = bgp.topology("a", 5, shape, keepalive_seconds)["spec"]["network"]["options"]
    return {it["kind"]: it["spec"] for it in options["resources"]}


def test_a_mesh_is_calicos_own_and_a_dead_nodes_routes_go_at_once():
    assert resources("mesh") == {
        "BGPConfiguration": {"nodeToNodeMeshEnabled": True, "nodeMeshMaxRestartTime": "0s"}
    }


def test_a_mesh_with_a_keepalive_time_is_made_of_peers_which_have_one():
    assert resources("mesh", 2) == {
        "BGPConfiguration": {"nodeToNodeMeshEnabled": False},
        "BGPPeer": {"peerSelector": "all()", "maxRestartTime": "0s", "keepaliveTime": "2s"},
    }


@pytest.mark.parametrize("keepalive", [{}, {"keepaliveTime": "7s"}])
def test_with_reflectors_all_nodes_peer_with_the_two_that_reflect(keepalive):
    found = resources("reflectors", 7 if keepalive else 0)
    assert found["BGPConfiguration"] == {"nodeToNodeMeshEnabled": False}
    assert found["BGPPeer"] == {
        "nodeSelector": "all()",
        "peerSelector": "route-reflector == 'true'",
        "maxRestartTime": "0s",
        **keepalive,
    }
    spec = bgp.topology("a", 5, "reflectors")["spec"]
    labelled = [it["name"] for it in spec["nodes"] if it["labels"] == {"route-reflector": "true"}]
    assert labelled == ["node-1", "node-2"]
    assert spec["network"]["options"]["nodes"][0]["nodeSelector"] == "route-reflector == 'true'"


def test_every_node_has_one_pod_and_so_a_block():
    spec = bgp.topology("a", 5, "mesh")["spec"]
    bound = [it["spec"]["nodeSelector"]["kubernetes.io/hostname"] for it in spec["manifests"]]
    assert bound == [it["name"] for it in spec["nodes"]] == [f"node-{number}" for number in range(1, 6)]


class Run:
    """A cluster that converges in 1, 5 and 2 s, and forgets a killed node in 0.1, 0.5 and 0.3 s."""

    def __init__(self, happened: list[str]) -> None:
        self._happened = happened
        self._converged = [
            Converged(1.0, 9, 0.4, 30.0),
            Converged(5.0, 10, 0.6, 10.0),
            Converged(2.0, 10, 0.2, 20.0),
        ]
        self._killed = [0.1, 0.5, 0.3]

    async def until_ready(self) -> None:
        self._happened.append("ready")

    async def start_all(self) -> Converged:
        self._happened.append("start")
        if not self._converged:
            raise FabricError("routes are missing")
        return self._converged.pop(0)

    async def kill(self, victim: str) -> float:
        self._happened.append(f"kill {victim}")
        return self._killed.pop(0)

    async def silence(self, victim: str, hold_seconds: int) -> float:
        self._happened.append(f"silence {victim} {hold_seconds}")
        return hold_seconds - 0.12345


@pytest.fixture
def happened(monkeypatch) -> list[str]:
    """The order of what is done with a cluster, which is a `Run`."""
    found: list[str] = []

    @contextmanager
    def running(value, *options: str, say) -> Iterator[dict[str, object]]:
        found.append(f"up {' '.join(options)}")
        try:
            yield {}
        finally:
            found.append("down")

    @asynccontextmanager
    async def all_connections(paths, workers):
        yield []

    monkeypatch.setattr(bgp.clusters, "running", running)
    monkeypatch.setattr(bgp, "all_connections", all_connections)
    monkeypatch.setattr(bgp, "need_spec", lambda paths: SimpleNamespace(workers=1))
    monkeypatch.setattr(bgp, "BgpRun", lambda *_: Run(found))
    return found


def measured(runs: int, *, silent: bool, keepalive: int = 0, tune: bool = True, said=lambda text: None):
    return bgp.measure(5, "mesh", runs=runs, silent=silent, keepalive_seconds=keepalive, tune=tune, say=said)


def test_each_run_starts_all_kills_the_last_node_and_waits_until_it_is_back(happened):
    said: list[str] = []
    found = measured(3, silent=False, said=said.append)
    assert happened == [
        "up --no-check --timeout 600 --tune",
        "ready",
        *["start", "kill node-5", "ready"] * 3,
        "down",
    ]
    assert (found.converged_seconds, found.cpu_seconds, found.pss_mib) == (2.0, 0.4, 20.0)
    assert (found.killed_seconds, found.sessions, found.runs) == (0.3, 10, 3)
    assert (found.silent_seconds, found.hold_seconds) == (None, 240)
    assert said == ["5 nodes, mesh: up", *(f"5 nodes, mesh: run {number}/3" for number in (1, 2, 3))]


@pytest.mark.parametrize(("keepalive", "hold"), [(0, 240), (2, 6)])
def test_a_silence_is_of_the_hold_time_and_comes_last(happened, keepalive, hold):
    found = measured(1, silent=True, keepalive=keepalive, tune=False)
    assert happened[0] == "up --no-check --timeout 600"
    assert happened[-2:] == [f"silence node-5 {hold}", "down"]
    assert (found.silent_seconds, found.hold_seconds) == (round(hold - 0.123, 3), hold)
    assert found.as_json()["silent_seconds"] == found.silent_seconds


def test_a_cluster_that_does_not_converge_is_taken_down_and_said(happened):
    with pytest.raises(FabricError, match="routes are missing"):
        measured(4, silent=True)
    assert happened[-2:] == ["start", "down"], "nothing is measured after that"
