from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

from fabric.cluster import spec as specs
from fabric.errors import FabricError
from fabric.topology.load import loads
from fabric.topology.model import NodeEntry

TOPOLOGY = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 3, network: {plugin: flannel, options: {VNI: 7}}}\n",
    Path("t.yaml"),
)


def choose(topology=TOPOLOGY, before=None):
    return specs.choose(topology, before, api_port=6443, workers=2)


def test_nodes_are_numbered_like_their_addresses_and_shared_out_to_the_workers():
    nodes = choose().nodes
    assert [(n.name, n.address, n.worker) for n in nodes] == [
        ("node-1", "192.168.0.11/16", 0),
        ("node-2", "192.168.0.12/16", 1),
        ("node-3", "192.168.0.13/16", 0),
    ]


def test_a_node_that_stays_keeps_its_address_and_worker_when_others_go_and_come():
    before = choose()
    changed = replace(TOPOLOGY, nodes=(NodeEntry("node-3"), NodeEntry("edge"), NodeEntry("node-2")))
    after = {node.name: node for node in choose(changed, before).nodes}
    assert after["node-3"] == before.nodes[2]
    assert after["node-2"] == before.nodes[1]
    assert after["edge"].address == "192.168.0.11/16"


def test_the_same_file_again_is_the_same_spec():
    assert choose(before=choose()) == choose()


def test_a_spec_read_back_is_equal(tmp_path):
    specs.write(tmp_path / "spec.json", choose())
    assert specs.read(tmp_path / "spec.json") == choose()


def test_a_missing_spec_is_none_and_a_damaged_one_says_what_to_do(tmp_path):
    assert specs.read(tmp_path / "spec.json") is None
    (tmp_path / "spec.json").write_text('{"name": 7}')
    with pytest.raises(FabricError, match="fabric down removes it"):
        specs.read(tmp_path / "spec.json")


def test_the_plugin_gets_the_users_options_and_every_nodes_facts():
    spec = choose()
    assert spec.network.config().options == {"VNI": 7}
    assert [facts.addresses for facts in spec.all_facts()] == [
        (ip_interface("192.168.0.11/16"),),
        (ip_interface("192.168.0.12/16"),),
        (ip_interface("192.168.0.13/16"),),
    ]
