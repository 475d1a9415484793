from dataclasses import replace
from pathlib import Path

import pytest
from support.wirings import wired

from fabric.cluster import preflight, validation
from fabric.cluster.preflight import Size
from fabric.errors import FabricError
from fabric.kernel.features import Feature
from fabric.topology.load import loads
from fabric.topology.model import Manifest, Underlay

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
    judgement = preflight.check(TOPOLOGY, frozenset({"vxlan"}))
    assert not [finding for finding in judgement.warnings if finding.level == "error"]


def test_a_feature_that_the_topology_needs_is_named_with_its_remedy(features):
    features["vxlan"] = Feature("vxlan", False, "Operation not supported", "modprobe vxlan")
    with pytest.raises(FabricError, match="vxlan: Operation not supported; modprobe vxlan"):
        preflight.check(TOPOLOGY, frozenset({"vxlan"}))


def test_a_feature_that_nobody_asks_for_may_be_missing(features):
    features["vxlan"] = Feature("vxlan", False, "Operation not supported", "modprobe vxlan")
    preflight.check(TOPOLOGY, frozenset({"veth"}))


def test_more_arp_entries_than_the_kernel_keeps_are_an_error_before_anything_is_built(features):
    """A mesh whose neighbours push each other out never comes up; what pods may need is a warning."""
    name = "net.ipv4.neigh.default.gc_thresh3"
    limit = int(Path("/proc/sys", *name.split(".")).read_text())
    preflight.check(TOPOLOGY, frozenset({"vxlan"}), limit)
    words = f"{name}: {limit} ARP entries, .*; the network alone needs {limit + 1}; sudo sysctl -w {name}="
    with pytest.raises(FabricError, match=words):
        preflight.check(TOPOLOGY, frozenset({"vxlan"}), limit + 1)


def test_pods_that_the_arp_table_cannot_hold_are_an_error_that_tuning_lifts(features):
    limit = int(Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3").read_text())
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-1"}}
    many = replace(TOPOLOGY, manifests=(Manifest(pod, "t.yaml:1"),) * (limit // 2 + 1))
    words = rf"{limit} ARP entries, .*; this with {limit // 2 + 1} pods needs \d+; sudo sysctl .*fabric up"
    with pytest.raises(FabricError, match=words):
        preflight.check(many, frozenset({"vxlan"}))
    judgement = preflight.check(many, frozenset({"vxlan"}), tune=True)
    assert judgement.arp_entries >= 2 * limit
    assert "net.ipv4.neigh.default.gc_thresh3" not in {finding.name for finding in judgement.warnings}


def test_of_two_ways_one_is_enough(features):
    features["ipip"] = Feature("ipip", False, "Operation not supported", "modprobe ipip")
    features["tun"] = Feature("tun", True, "/dev/net/tun", "")
    assert preflight.check(TOPOLOGY, frozenset({"ipip|tun"})).features == {"tun"}
    features["tun"] = Feature("tun", False, "No such file or directory", "modprobe tun")
    words = "ipip: Operation not supported, tun: No such file or directory; modprobe ipip or modprobe tun"
    with pytest.raises(FabricError, match=words):
        preflight.check(TOPOLOGY, frozenset({"ipip|tun"}))


def test_a_delay_without_netem_names_the_link_and_what_brings_it(features):
    features["netem"] = Feature("netem", False, "No such file or directory", "modprobe sch_netem, or …")
    text = "{kind: leaf-spine, racks: 2, spines: 2, uplinkLinks: {delay: 10ms}}"
    slow = loads(
        "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
        f"spec: {{nodes: 3, network: {{plugin: flannel}}, underlay: {text}}}\n",
        Path("t.yaml"),
    )
    required = validation.requirements(slow)
    assert "netem" in required and "netem" not in validation.requirements(TOPOLOGY)
    with pytest.raises(FabricError) as refused:
        preflight.check(slow, required)
    assert (
        "netem: link leaf-1--spine-1 has delay 10ms, leaf-1--spine-2 has delay 10ms, leaf-2--spine-1 has "
        "delay 10ms and 1 more, and this kernel has no sch_netem; modprobe sch_netem, or …"
    ) in str(refused.value)


def test_a_missing_tool_names_the_package_that_has_it(features, monkeypatch):
    monkeypatch.setattr(
        preflight.shutil, "which", lambda tool, path: None if tool == "ipset" else f"/x/{tool}"
    )
    with pytest.raises(FabricError, match="ipset: not installed; sudo apt-get install ipset"):
        preflight.check(TOPOLOGY, frozenset())


def test_a_routed_underlay_needs_bird(features, monkeypatch):
    monkeypatch.setattr(
        preflight.shutil, "which", lambda tool, path: None if tool == "bird" else f"/x/{tool}"
    )
    preflight.check(TOPOLOGY, validation.requirements(TOPOLOGY))
    racks = replace(TOPOLOGY, underlay=Underlay("leaf-spine", {"kind": "leaf-spine"}))
    with pytest.raises(FabricError, match="bird: not installed; sudo apt-get install bird2"):
        preflight.check(racks, validation.requirements(racks))


def test_a_mesh_of_nodes_needs_an_arp_entry_for_each_ordered_pair():
    assert Size.flat(100, 0).arp_entries == 100 * 99 + 2 * 100  # each other; the control plane
    assert Size.flat(2, 10).arp_entries > Size.flat(2, 0).arp_entries
    assert Size.of(wired({"kind": "l2"}, 100), 7) == Size.flat(100, 7)


def test_racks_keep_neighbours_few_and_bridges_small():
    flat, racks = (
        Size.of(wired(options, 100), 0)
        for options in ({"kind": "l2"}, {"kind": "leaf-spine", "nodesPerRack": 10, "spines": 2})
    )
    assert racks.arp_entries == 10 * (10 * 9 + 20) + 2 * 20 + 22  # the control plane is in the first rack
    assert (flat.ports, racks.ports, racks.hosts) == (101, 11, 100 + 1 + 10 + 2)


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
