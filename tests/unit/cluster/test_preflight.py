from pathlib import Path

import pytest

from fabric.cluster import preflight
from fabric.errors import FabricError
from fabric.kernel.features import Feature
from fabric.topology.load import loads

TOPOLOGY = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 3, network: {plugin: flannel}}\n",
    Path("t.yaml"),
)


@pytest.fixture
def features(monkeypatch):
    """What the kernel is said to have; tests change it."""
    found = {name: Feature(name, True, f"{name} devices", "") for name in ("vxlan", "veth", "iptables")}
    monkeypatch.setattr(preflight, "probe", lambda *_: found)
    monkeypatch.setattr(preflight, "all_clusters", list)
    return found


def test_a_host_that_has_everything_is_not_complained_of(features):
    assert not [
        finding for finding in preflight.check(TOPOLOGY, frozenset({"vxlan"})) if finding.level == "error"
    ]


def test_a_feature_that_the_topology_needs_is_named_with_its_remedy(features):
    features["vxlan"] = Feature("vxlan", False, "Operation not supported", "modprobe vxlan")
    with pytest.raises(FabricError, match="vxlan: Operation not supported; modprobe vxlan"):
        preflight.check(TOPOLOGY, frozenset({"vxlan"}))


def test_a_feature_that_nobody_asks_for_may_be_missing(features):
    features["vxlan"] = Feature("vxlan", False, "Operation not supported", "modprobe vxlan")
    preflight.check(TOPOLOGY, frozenset({"veth"}))


def test_a_missing_tool_names_the_package_that_has_it(features, monkeypatch):
    monkeypatch.setattr(
        preflight.shutil, "which", lambda tool, path: None if tool == "ipset" else f"/x/{tool}"
    )
    with pytest.raises(FabricError, match="ipset: not installed; sudo apt-get install ipset"):
        preflight.check(TOPOLOGY, frozenset())


def test_a_mesh_of_nodes_needs_an_arp_entry_for_each_ordered_pair():
    assert preflight.neighbors_needed(100, 0) == 100 * 99
    assert preflight.neighbors_needed(2, 10) > preflight.neighbors_needed(2, 0)


def test_more_pods_on_a_node_than_a_bridge_has_ports_is_an_error(features):
    found = {finding.name: finding for finding in preflight.examine(nodes=2, pods=3000)}
    assert found["bridge ports"].level == "error"
    assert "1024 ports" in found["bridge ports"].what
    assert {f.name: f for f in preflight.examine(2, 200)}["bridge ports"].level == "ok"


def test_doctor_says_what_each_missing_thing_costs(features):
    features["vxlan"] = Feature("vxlan", False, "Operation not supported", "modprobe vxlan")
    found = {finding.name: finding for finding in preflight.examine(nodes=2, pods=4)}
    assert (found["vxlan"].level, found["vxlan"].remedy) == ("warning", "modprobe vxlan")
    assert found["leftovers"].what == "none"
