import textwrap
from ipaddress import ip_network
from pathlib import Path

import pytest

from fabric.errors import BadInput
from fabric.topology.load import load, loads
from fabric.topology.model import NodeEntry

SMALLEST = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: two-nodes}
spec:
  nodes: 2
  network: {plugin: flannel}
"""


def problems(text: str, source: Path = Path("t.yaml")) -> list[str]:
    with pytest.raises(BadInput) as refused:
        loads(textwrap.dedent(text), source)
    return [str(problem) for problem in refused.value.problems]


def test_the_smallest_file_has_kubernetes_own_ranges_and_one_switch():
    topology = loads(SMALLEST, Path("t.yaml"))
    assert [node.name for node in topology.nodes] == ["node-1", "node-2"]
    assert topology.pod_cidrs == (ip_network("10.244.0.0/16"),)
    assert topology.underlay.kind == "l2"
    assert topology.underlay.options == {"kind": "l2"}


def test_a_listed_node_has_labels_taints_and_capacity():
    topology = loads(
        SMALLEST.replace(
            "nodes: 2",
            "nodes: [{name: node-1, labels: {zone: a}, capacity: {cpu: 2},"
            " taints: [{key: k, effect: NoSchedule}]}]",
        ),
        Path("t.yaml"),
    )
    (node,) = topology.nodes
    assert isinstance(node, NodeEntry)
    assert node.labels == {"zone": "a"}
    assert node.capacity == {"cpu": "2"}
    assert node.taints[0].effect == "NoSchedule"


def test_a_problem_found_later_can_still_be_placed_in_the_file():
    topology = loads(SMALLEST, Path("t.yaml"))
    assert topology.where("spec", "network", "plugin") == "t.yaml:6"
    assert topology.where("spec", "network", "options", "VNI") == "t.yaml:6"


def test_manifests_are_read_from_files_and_inline_with_their_lines(tmp_path):
    (tmp_path / "pods.yaml").write_text(
        "# pods\napiVersion: v1\nkind: Pod\nmetadata: {name: pod-1}\n---\n"
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: pod-2}}\n"
    )
    file = tmp_path / "t.yaml"
    inline = "  manifests:\n  - pods.yaml\n  - {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n"
    file.write_text(SMALLEST + inline)
    found = load(file).manifests
    assert [m.object["metadata"]["name"] for m in found] == ["pod-1", "pod-2", "x"]
    assert [m.where for m in found] == [
        f"{tmp_path}/pods.yaml:2",
        f"{tmp_path}/pods.yaml:9",
        f"{file}:9",
    ]


def test_all_errors_of_a_file_come_at_once_in_the_order_of_its_lines():
    found = problems("""\
        apiVersion: fabric.dev/v1
        kind: Topology
        metadata: {name: Two_Nodes}
        spec:
          nodes: 0
          network:
            plugin: flannel
            mtu: 100
            bakend: vxlan
          underlay: {kind: ring}
        """)
    assert [line.split(":")[1] for line in found] == ["3", "5", "8", "9", "10"]
    assert "did you mean 'backend'?" in found[3]
    assert (
        found[1]
        == "t.yaml:5: spec.nodes is 0; allowed: a whole number (1 to 1000) or a list (1 to 1000 entries)"
    )


@pytest.mark.parametrize(
    "underlay, words",
    [
        ("{kind: leaf-spine, spines: 99}", "spec.underlay.spines is 99; allowed: a whole number, 1 to 16"),
        ("{kind: leaf-spine, rackLabel: rack}", "spec.nodes[1]: node-2 has no label 'rack'"),
        ("{kind: leaf-spine, subnet: 'fd00::/48'}", "one family"),
        ("{kind: l2, subnet: 'fd00::/48'}", "spec.underlay.subnet: fd00::/48 is IPv6; allowed: an IPv4"),
        ("{kind: l2, linkSubnet: 172.16.0.0/16}", "has no key 'linkSubnet'"),
        ("{kind: leaf-spine, subnet: 10.244.0.0/16}", "10.244.0.0/16 overlaps spec.podCIDR 10.244.0.0/16"),
        ("{kind: [l2]}", "allowed: l2, leaf-spine, graph, mininet"),
        ("[]", "spec.underlay is []"),
        ("{kind: mininet, topo: 'no.py:Tree'}", "no file"),
    ],
)
def test_an_underlay_is_checked_by_its_own_kind_s_rules(underlay, words):
    found = problems(SMALLEST + f"  underlay: {underlay}\n")
    assert any(it.startswith(("t.yaml:7: ", "t.yaml:5: ")) and words in it for it in found), found


def test_a_default_range_that_overlaps_is_complained_of_where_the_file_has_the_other():
    (found,) = problems(SMALLEST + "  underlay: {kind: l2}\n  podCIDR: 192.168.0.0/20\n")
    assert found == "t.yaml:8: spec.podCIDR: 192.168.0.0/20 overlaps spec.underlay.subnet 192.168.0.0/16"


def test_a_whole_number_with_a_point_is_one_as_in_json_and_kubectl():
    spec = "nodes: 2.0, network: {plugin: flannel, options: {VNI: 7.0}}, underlay: {kind: l2, mtu: 1.5e+3}"
    topology = loads(
        SMALLEST.replace("  nodes: 2\n  network: {plugin: flannel}", f"  {{{spec}}}"), Path("t.yaml")
    )
    assert (len(topology.nodes), topology.network.options, topology.underlay.options["mtu"]) == (
        2,
        {"VNI": 7},
        1500,
    )


def test_a_fault_is_told_once():
    with pytest.raises(BadInput) as refused:
        loads("a: 1\n", Path("t.yaml"))
    assert [str(problem) for problem in refused.value.problems] == [
        "t.yaml:1: the file lacks 'apiVersion', 'kind', 'metadata', 'spec'",
        "t.yaml:1: the file has no key 'a' (allowed: apiVersion, kind, metadata, spec)",
    ]


def test_merge_keys_and_anchors_work_as_yaml_says():
    text = SMALLEST.replace(
        "nodes: 2",
        "nodes:\n  - &one {name: node-1, labels: {zone: a}}\n  - {<<: *one, name: node-2}",
    )
    assert [node.labels for node in loads(text, Path("t.yaml")).nodes] == [{"zone": "a"}, {"zone": "a"}]
