"""Every way to get a topology wrong gives one message per mistake, with file and line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.errors import BadInput
from fabric.topology.load import load
from fabric.topology.model import Topology

GOOD = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata:
  name: two-nodes
spec:
  nodes:
    - name: node-1
      labels: {zone: a}
    - name: node-2
      taints: [{key: k, effect: NoSchedule}]
      capacity: {cpu: "2", memory: 1Gi}
  underlay:
    kind: l2
    subnet: 192.168.0.0/24
    mtu: 1500
  podCIDR: 10.244.0.0/16
  serviceCIDR: 10.96.0.0/16
  network:
    plugin: flannel
    backend: vxlan
  manifests:
    - {apiVersion: v1, kind: Namespace, metadata: {name: x}}
"""

BROKEN = {
    # name: (what stands in GOOD, what stands instead, line of the message, words in it)
    "wrong api version": ("fabric.dev/v1", "fabric.dev/v2", 1, '"fabric.dev/v1"'),
    "a number of more than 64 bits": (
        "mtu: 1500",
        f"mtu: {2**64}",
        15,
        "more than 64 bits; allowed: -9223372",
    ),
    "such a number in a manifest": (
        "metadata: {name: x}}",
        f"spec: {{a: -{10**30}}}}}",
        22,
        "more than 64 bits",
    ),
    "no number": ("mtu: 1500", "mtu: .nan", 15, ".nan is no number of JSON"),
    "an endless number in options": ("backend: vxlan", "options: {VNI: -.inf}", 20, "-.inf is no number"),
    "wrong kind": ("kind: Topology", "kind: Cluster", 2, '"Topology"'),
    "no kind": ("kind: Topology\n", "", 1, "lacks 'kind'"),
    "no metadata": ("metadata:\n  name: two-nodes\n", "", 1, "lacks 'metadata'"),
    "no name": ("  name: two-nodes\n", "  {}\n", 3, "lacks 'name'"),
    "name with capitals": ("two-nodes", "Two", 4, "lower-case letters, digits and -, such as node-1"),
    "name too long": ("two-nodes", "a" * 41, 4, "at most 40"),
    "name is a number": ("name: two-nodes", "name: 7", 4, "allowed: text"),
    "unknown key at the top": ("spec:\n", "specs: 1\nspec:\n", 5, "did you mean 'spec'"),
    "unknown key in spec": ("  podCIDR:", "  podCidr: 10.1.0.0/16\n  podCIDR:", 16, "did you mean 'podCIDR'"),
    "no network": ("  network:\n    plugin: flannel\n    backend: vxlan\n", "", 5, "lacks 'network'"),
    "no plugin": ("    plugin: flannel\n", "", 18, "lacks 'plugin'"),
    "plugin is a list": ("plugin: flannel", "plugin: [flannel]", 19, "allowed: text"),
    "options is text": ("backend: vxlan", "options: x", 20, "allowed: a mapping"),
    "pods' mtu too small": ("backend: vxlan", "mtu: 5", 20, "576 to 65535"),
    "node without name": ("- name: node-1\n      labels", "- labels", 7, "lacks 'name'"),
    "node name with underscore": ("name: node-1", "name: node_1", 7, "lower-case letters, digits and -"),
    "two nodes of one name": ("name: node-2", "name: node-1", 9, "second node called 'node-1'"),
    "node called switch": ("name: node-2", "name: switch", 9, "fabric has one of its own"),
    "label is a number": ("{zone: a}", "{zone: 3}", 8, "allowed: text"),
    "labels is a list": ("{zone: a}", "[zone]", 8, "a mapping"),
    "taint without effect": (", effect: NoSchedule", "", 10, "lacks 'effect'"),
    "unknown effect": ("NoSchedule", "NoWay", 10, "NoSchedule, PreferNoSchedule, NoExecute"),
    "capacity with a wrong unit": ("1Gi", "1GiB", 11, "a quantity such as 2, 500m or 1Gi"),
    "capacity below zero": ('"2"', "-2", 11, "allowed"),
    "unknown underlay": ("kind: l2", "kind: l3", 13, "allowed: l2"),
    "underlay without kind": ("    kind: l2\n", "", 12, "lacks 'kind'"),
    "subnet is no range": ("192.168.0.0/24", "192.168.0.0/33", 14, "192.168.0.0/33"),
    "subnet too small": ("192.168.0.0/24", "192.168.0.0/29", 14, "has room for 0 nodes; switch has 2"),
    "mtu too small for IPv6": ("mtu: 1500", "mtu: 900", 15, "1280 to 65535"),
    "mtu is text": ("mtu: 1500", "mtu: large", 15, "a whole number"),
    "pod range with host bits": (
        "10.244.0.0/16",
        "10.244.0.1/16",
        16,
        "has host bits set; the range that it is in is 10.244.0.0/16",
    ),
    "pod range is a name": ("10.244.0.0/16", "pods", 16, "allowed: an IPv4 range"),
    "pods overlap services": ("10.96.0.0/16", "10.244.8.0/24", 16, "overlaps"),
    "pods overlap nodes": ("192.168.0.0/24", "10.244.1.0/24", 14, "overlaps spec.podCIDR"),
    "manifest is a number": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
        "5",
        22,
        "text or a mapping",
    ),
    "manifest without kind": ("kind: Namespace, ", "", 22, "lacks 'kind'"),
    "manifest without name": ("{name: x}", "{}", 22, "metadata.name"),
    "manifest file missing": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
        "no.yaml",
        22,
        "no.yaml",
    ),
    "manifests is a path": (
        "manifests:\n    - {apiVersion",
        "manifests: x\n  x:\n    - {apiVersion",
        21,
        "a list",
    ),
    "a key twice": ("    mtu: 1500", "    mtu: 1500\n    mtu: 1400", 16, "second time"),
    "tab for indent": ("    kind: l2", "\tkind: l2", 13, "not valid YAML"),
    "bracket left open": ("[{key: k", "[[{key: k", 11, "not valid YAML"),
    "list as key": ("podCIDR:", "[a, b]:", 16, "plain text"),
    "unknown alias": ("zone: a", "zone: *a", 8, "not valid YAML"),
    "selector that YAML takes for a tag": ("zone: a", "zone: !has(x)", 8, "must be quoted: '!has(x)'"),
    "selector that loses its !": ("zone: a", "zone: ! has(x)", 8, "must be quoted: '!has(x)'"),
    "value with a tag of its own": ("{zone: a}", "!mine {zone: a}", 8, "the tag !mine is not known here"),
    "two documents": ("spec:\n", "---\nspec:\n", 1, "2 YAML documents"),
    "pod range of loopbacks": ("10.244.0.0/16", "127.0.0.0/8", 16, "127.0.0.0/8, which is of loopbacks"),
    "pod range of multicast": ("10.244.0.0/16", "225.0.0.0/16", 16, "which is of multicast groups"),
    "service range of all": ("10.96.0.0/16", "0.0.0.0/0", 17, "no host can have an address of"),
    "subnet is link-local": ("192.168.0.0/24", "169.254.0.0/16", 14, "which is link-local"),
    "pod range with a mask": ("10.244.0.0/16", "10.244.0.0/255.255.0.0", 16, "the length of its prefix"),
    "pod range without a prefix": ("10.244.0.0/16", "10.244.0.0", 16, "the length of its prefix"),
    "manifest of too long a name": (
        "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
        "x" * 5000,
        22,
        "no manifest file",
    ),
    "python's tag on a list": (
        "{zone: a}",
        "!!python/object/apply:os.getpid []",
        8,
        "the tag !!python/object",
    ),
    "a set": ("{zone: a}", "!!set {zone}", 8, "the tag !!set is not known here"),
    "a number of 5,000 digits": ("mtu: 1500", "mtu: " + "9" * 5000, 15, "cannot read '9999"),
    "a key that is a number": ('cpu: "2"', '"2": null', 11, "spec.nodes[1].capacity.2 is null"),
    "nodes is text": ("nodes:\n", "nodes: two\n  x:\n", 6, "a whole number (1 to 1000) or a list ("),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_with_its_line(case, tmp_path):
    before, after, line, words = case
    assert before in GOOD
    file = tmp_path / "broken.yaml"
    file.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(BadInput) as refused:
        load(file)
    messages = [str(problem) for problem in refused.value.problems]
    assert any(m.startswith(f"{file}:{line}: ") and words in m for m in messages), messages


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"\xff\xfe", b"null\n", b"- a\n", b"7\n"])
def test_what_is_no_topology_at_all_is_refused(content, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=re.escape(f"{file}:1: ")):
        load(file)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"no\.yaml: cannot be read: No such file"):
        load(tmp_path / "no.yaml")


def test_an_alias_that_unfolds_without_end_is_refused(tmp_path):
    levels = "\n".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 20)}]" for n in range(1, 9))
    file = tmp_path / "bomb.yaml"
    file.write_text(f"b0: &b0 [x]\n{levels}\n")
    with pytest.raises(BadInput, match="grows without end"):
        load(file)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(GOOD) - 1), gone=st.integers(0, 12), junk=st.text(max_size=6))
def test_damage_anywhere_gives_a_topology_or_lines_never_a_crash(at, gone, junk, tmp_path_factory):
    file = tmp_path_factory.mktemp("fuzz") / "t.yaml"
    file.write_text(GOOD[:at] + junk + GOOD[at + gone :], encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(load(file), Topology)
    except BadInput as refused:
        assert all(re.search(r":\d+$", problem.where) for problem in refused.problems)
