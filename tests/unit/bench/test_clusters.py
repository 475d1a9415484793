"""Clusters of one measurement: their topologies are accepted, and the first error is the one that is told."""

from __future__ import annotations

import json

import pytest

from fabric.bench import bgp, clusters
from fabric.cluster.validation import check_network
from fabric.errors import FabricError
from fabric.topology.load import load


@pytest.mark.parametrize("keepalive_seconds", [0, 1])
@pytest.mark.parametrize("shape", ["mesh", "reflectors"])
def test_every_shape_of_bench_bgp_is_a_topology_that_up_takes(tmp_path, shape, keepalive_seconds):
    file = tmp_path / "topology.yaml"
    file.write_text(json.dumps(bgp.topology("a", 4, shape, keepalive_seconds)))
    check_network(load(file))


def test_the_error_of_up_is_told_not_the_one_of_the_down_that_follows(monkeypatch):
    def refuse(verb, *_):
        raise FabricError(f"{verb} is refused")

    monkeypatch.setattr(clusters, "run_fabric", refuse)
    with pytest.raises(FabricError, match="up is refused"), clusters.running({"metadata": {"name": "a"}}):
        pass


class Fabric:
    """The command line in tests: it remembers what was asked, and refuses the verbs that it is told to."""

    def __init__(self, *refused: str) -> None:
        self.asked: list[str] = []
        self._refused = refused

    def __call__(self, verb: str, *arguments: str) -> str:
        self.asked.append(" ".join([verb, *arguments[-1:]]) if verb == "down" else verb)
        if verb in self._refused:
            raise FabricError(f"{verb} is refused")
        return "{}"


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_body_that_fails_leaves_no_cluster_and_its_error_is_told(monkeypatch, error):
    monkeypatch.setattr(clusters, "run_fabric", fabric := Fabric())
    with pytest.raises(type(error)) as caught, clusters.running({"metadata": {"name": "a"}}):
        raise error
    assert fabric.asked == ["up", "down a"] and caught.value is error


def test_a_down_that_is_refused_too_is_a_note_on_the_bodys_error(monkeypatch):
    monkeypatch.setattr(clusters, "run_fabric", Fabric("down"))
    with pytest.raises(ValueError) as caught, clusters.running({"metadata": {"name": "a"}}):
        raise ValueError("a bug")
    assert caught.value.__notes__ == ["down is refused"]


def test_a_measurement_that_went_well_takes_its_cluster_down_once_and_tells_of_a_refusal(monkeypatch):
    monkeypatch.setattr(clusters, "run_fabric", fabric := Fabric())
    with clusters.running({"metadata": {"name": "a"}}) as report:
        assert report == {} and fabric.asked == ["up"]
    assert fabric.asked == ["up", "down a"]
    monkeypatch.setattr(clusters, "run_fabric", Fabric("down"))
    with pytest.raises(FabricError, match="down is refused"), clusters.running({"metadata": {"name": "a"}}):
        pass
