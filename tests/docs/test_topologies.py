"""The topologies that are shipped, and the schema that editors read."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.pages import TOP

from fabric.cluster.plan import plan
from fabric.cluster.validation import check_network
from fabric.topology.load import load

SCHEMA = "# yaml-language-server: $schema=../docs/topology.schema.json"
TOPOLOGIES = sorted((TOP / "topologies").glob("*.yaml"))


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_a_shipped_topology_opens_with_what_it_shows_and_names_its_schema(path):
    opening = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        opening.append(line)
    assert opening[0].removeprefix("# ").rstrip().endswith((".", ":", ",")) or len(opening) > 2
    assert opening[-1] == SCHEMA
    assert not opening[0].startswith("# yaml-language-server")


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_a_shipped_topology_loads_and_plans_and_is_called_as_its_file(path):
    topology = load(path)
    check_network(topology)
    assert {node.name for node in topology.nodes} < {it.name for it in plan(topology)}
    assert topology.name == path.stem


def test_the_published_schema_is_the_one_that_fabric_prints():
    printed = subprocess.run(
        [sys.executable, "-P", "-m", "fabric", "schema"],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    ).stdout
    message = "run: fabric schema > docs/topology.schema.json"
    assert printed == (TOP / "docs/topology.schema.json").read_text(), message
