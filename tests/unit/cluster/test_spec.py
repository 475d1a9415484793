from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import msgspec
import pytest

from fabric.cluster import spec as specs
from fabric.cluster.underlay.spec import LinkChange
from fabric.errors import FabricError
from fabric.topology.load import loads
from fabric.topology.model import ImageEntry, NodeEntry, Topology
from fabric.topology.shapes import Shape

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


RACKS = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 6, network: {plugin: flannel},"
    " underlay: {kind: leaf-spine, nodesPerRack: 2, mtu: 9000}}\n",
    Path("t.yaml"),
)


def only(*numbers: int) -> Topology:
    return replace(RACKS, nodes=tuple(NodeEntry(f"node-{number}") for number in numbers))


def test_a_node_of_a_rack_has_its_racks_subnet_and_its_links_mtu():
    (facts,) = choose(only(5)).all_facts()
    assert facts.addresses == (ip_interface("192.168.3.15/24"),)
    assert (facts.device, facts.mtu) == ("eth0", 9000)


def test_racks_come_and_go_and_who_stays_keeps_addresses_and_as_numbers():
    before = choose(RACKS)
    after = choose(only(2, 3, 7), before)
    kept = {node.name: node.address for node in before.nodes}
    assert all(node.address == kept.get(node.name, node.address) for node in after.nodes)
    numbers = {it.name: it.asn for it in after.underlay.devices if it.role == "router"}
    assert numbers == {"leaf-1": 65001, "leaf-2": 65002, "leaf-4": 65004, "spine-1": 65000, "spine-2": 65000}


def test_the_control_plane_keeps_its_leaf_and_address_when_the_rack_has_no_nodes():
    before = choose(RACKS)
    after = choose(only(5, 6), before)
    assert after.underlay.control_plane == before.underlay.control_plane == "192.168.1.2/24"
    assert after.underlay.wiring().neighbors("leaf-1", "host") == ["control-plane"]


def test_what_fabric_link_did_is_in_the_wiring_and_gone_with_the_next_up():
    spec = choose(RACKS)
    changes = {"leaf-1--spine-2": LinkChange(up=False), "leaf-1--node-1": LinkChange(shape=Shape(mtu=1400))}
    changed = msgspec.structs.replace(spec, underlay=msgspec.structs.replace(spec.underlay, changes=changes))
    links = {it.name: it for it in changed.underlay.wiring().links}
    assert [name for name, link in links.items() if not link.up] == ["leaf-1--spine-2"]
    assert (links["leaf-1--node-1"].shape.mtu, changed.nodes[0].mtu) == (1400, 9000)
    assert choose(RACKS, changed) == spec


def test_features_are_those_that_the_cluster_began_with():
    first = specs.choose(TOPOLOGY, None, api_port=1, workers=1, features={"tun", "ipip"})
    assert first.features == ("ipip", "tun")
    assert specs.choose(TOPOLOGY, first, api_port=1, workers=1, features={"tun"}).features == ("ipip", "tun")


def test_the_same_file_again_is_the_same_spec():
    assert choose(before=choose()) == choose()


@pytest.mark.parametrize("topology", [TOPOLOGY, RACKS], ids=["l2", "leaf-spine"])
def test_a_spec_read_back_is_equal(tmp_path, topology):
    specs.write(tmp_path / "spec.json", choose(topology))
    assert specs.read(tmp_path / "spec.json") == choose(topology)


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


def test_the_spec_has_the_images_of_the_file_also_after_it_was_written(tmp_path):
    images = (ImageEntry("app", ("/bin/app",), ("-v",), {"A": "b"}, "/srv", tmp_path, (80,)),)
    specs.write(tmp_path / "spec.json", choose(replace(TOPOLOGY, images=images)))
    spec = specs.read(tmp_path / "spec.json")
    assert spec is not None
    image = spec.catalogue().resolve("app")
    assert (image.argv, image.env, image.cwd, image.root) == (
        ("/bin/app", "-v"),
        {"A": "b"},
        "/srv",
        tmp_path,
    )
