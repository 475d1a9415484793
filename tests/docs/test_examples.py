"""The pages' examples: topologies load and plan, and commands without root print what the page says."""

from __future__ import annotations

import pytest
import yaml
from support.page_session import PageSession
from support.pages import TOP, blocks, commands, pages

from fabric.cluster.plan import plan
from fabric.cluster.validation import check_network
from fabric.topology.load import loads

TOPOLOGIES = [
    block
    for page in pages()
    for block in blocks(page, "yaml")
    if (yaml.safe_load(block.text) or {}).get("kind") == "Topology"
]
CONSOLES = [block for page in pages() for block in blocks(page, "console") if not block.mark]


@pytest.mark.parametrize("block", TOPOLOGIES, ids=str)
def test_a_topology_in_a_page_loads_and_plans(block):
    topology = loads(block.text, TOP / "topologies/page.yaml")
    check_network(topology)
    assert plan(topology)


@pytest.mark.parametrize("block", CONSOLES, ids=str)
def test_a_command_without_root_prints_what_the_page_says(block, tmp_path):
    session = PageSession(tmp_path)
    for said in commands(block):
        session.play(said)
