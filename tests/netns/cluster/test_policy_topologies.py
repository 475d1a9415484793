"""The topologies with policies that are shipped come up, and every packet goes as far as the policies say."""

from __future__ import annotations

import json
import shutil
import uuid

import pytest
from support.clusters import TOP, fabric, own_folders

from fabric.topology.load import load

TOPOLOGIES = sorted(
    path.stem for path in (TOP / "topologies").glob("*.yaml") if "policies/" in path.read_text()
)
PORTS = ("80/tcp", "81/tcp", "631/tcp", "5432/tcp", "53/udp", "icmp")


@pytest.fixture(params=TOPOLOGIES)
def cluster(request, tmp_path):
    """One of the topologies under a name and in folders of its own; `up` says what it said."""
    shutil.copytree(TOP / "topologies", tmp_path / "topologies")
    file = tmp_path / f"topologies/{request.param}.yaml"
    own = f"test-{uuid.uuid4().hex[:8]}"
    file.write_text(file.read_text().replace(f"name: {load(file).name}", f"name: {own}", 1))
    with own_folders() as folders:
        try:
            yield lambda *words: fabric(*words, environment=folders), file
        finally:
            fabric("down", own, environment=folders)


def test_a_shipped_topology_with_policies_comes_up_and_does_what_they_mean(cluster):
    run, file = cluster
    up = run("up", str(file), "-o", "json")
    assert up.returncode == 0, up.stdout + up.stderr
    reached = json.loads(up.stdout)["reachability"]
    assert reached["reached"] == reached["pairs"] > 0
    assert (reached["closedByPolicies"] > 0) == (file.stem != "host-endpoints")  # whose pods are all open
    linted = run("policy", "lint")
    assert (linted.returncode, linted.stdout[:10]) == (0, "no finding"), linted.stdout
    ports = [word for port in PORTS for word in ("--port", port)]
    matrix = run("policy", "matrix", "--nodes", *ports, "-o", "json")
    assert matrix.returncode == 0, matrix.stdout
    cells = json.loads(matrix.stdout)["cells"]
    assert {cell["predicted"] for cell in cells} == {"allowed", "blocked"}
