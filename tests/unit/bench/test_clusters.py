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
