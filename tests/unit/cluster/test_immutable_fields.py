"""A running cluster's addresses cannot be moved: the file is refused by line, before anything is touched."""

from pathlib import Path

import pytest

from fabric.cluster import spec as specs
from fabric.cluster import up
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.up import begin
from fabric.errors import BadInput
from fabric.topology.load import loads

RACKS = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes:
    - {name: node-1, labels: {rack: a}}
    - {name: node-2, labels: {rack: b}}
  underlay:
    kind: leaf-spine
    rackLabel: rack
    subnet: 192.168.0.0/16
    linkSubnet: 172.16.0.0/16
    hostLinks: {mtu: 1500}
  network: {plugin: flannel}
"""
TEXT = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: 2
  podCIDR: 10.244.0.0/16
  network:
    plugin: flannel
    backend: vxlan
"""


def topology(text: str):
    return loads(text, Path("t.yaml"))


@pytest.fixture(params=[TEXT])
def running(tmp_path, monkeypatch, request):
    """A spec on disk, as if the cluster had been started; nothing may be launched."""
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(up, "launch", lambda *_: pytest.fail("launched"))
    paths = ClusterPaths("t")
    paths.make()
    specs.write(paths.spec, specs.choose(topology(request.param), None, api_port=1, workers=1))
    return paths


@pytest.mark.parametrize(
    ("old", "new", "line", "path"),
    [
        ("10.244.0.0/16", "10.245.0.0/16", 6, "podCIDR"),
        ("vxlan", "host-gw", 9, "network.backend"),
        ("    backend: vxlan\n", "    backend: vxlan\n    mtu: 1400\n", 10, "network.mtu"),
        ("    backend: vxlan\n", "    backend: vxlan\n    options: {VNI: 5}\n", 10, "network.options.VNI"),
    ],
)
def test_what_cannot_change_is_refused_by_line(running, old, new, line, path):
    before = running.spec.read_bytes()
    with pytest.raises(BadInput, match=rf"t\.yaml:{line}: spec\.{path} is .*fabric down t"):
        begin(topology(TEXT.replace(old, new)))
    assert running.spec.read_bytes() == before


OPTIONS = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: 2
  network:
    plugin: calico
    options:
      ipipMode: CrossSubnet
      natOutgoing: true
      nodes:
        - {asNumber: 65000}
        - {nodeSelector: "rack == '1'", asNumber: 65001}
"""


@pytest.mark.parametrize("running", [OPTIONS], indirect=True)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "ipipMode: CrossSubnet",
            "ipipMode: Always",
            "9: spec.network.options.ipipMode is Always, and the running cluster has CrossSubnet",
        ),
        ("      natOutgoing: true\n", "", "8: .natOutgoing is not set, and the running cluster has true"),
        (
            "nodes:\n",
            "blockSize: 28\n      nodes:\n",
            "11: .blockSize is 28, and the running cluster does not set it",
        ),
        ("65001}", "65002}", "13: .nodes[1].asNumber is 65002, and the running cluster has 65001"),
        (
            "        - {asNumber: 65000}\n",
            "        - {asNumber: 64999}\n        - {asNumber: 65000}\n",
            '12: .nodes[0] is {"asNumber": 64999}, and the running cluster does not set it',
        ),
    ],
)
def test_of_the_options_only_what_differs_is_told(running, old, new, said):
    line, _, what = said.replace(": .", ": spec.network.options.").partition(": ")
    with pytest.raises(BadInput) as refused:
        begin(topology(OPTIONS.replace(old, new)))
    assert str(refused.value) == f"t.yaml:{line}: {what}; take it down first: fabric down t"


@pytest.mark.parametrize("running", [RACKS], indirect=True)
@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (
            "kind: leaf-spine\n    rackLabel: rack",
            "kind: leaf-spine\n    racks: 2",
            6,
            "node-1 has the address",
        ),
        ("192.168.0.0/16", "192.168.0.0/17", 11, "spec.underlay.subnet is 192.168.0.0/17, and the running"),
        ("172.16.0.0/16", "172.18.0.0/16", 12, "spec.underlay.linkSubnet is"),
        ("hostLinks: {mtu: 1500}", "subnetPrefix: 25", 13, "spec.underlay.subnetPrefix is 25"),
        ("hostLinks: {mtu: 1500}", "mtu: 1400", 13, "spec.underlay.mtu is 1400"),
        ("{mtu: 1500}", "{mtu: 1400}", 6, "node-1 has the MTU 1500 and would have 1400"),
        ("rack: b", "rack: a", 7, "node-2 has the address 192.168.2.12/24 and would have 192.168.1.12/24"),
    ],
)
def test_who_stays_in_a_fabric_is_not_moved(running, old, new, line, words):
    with pytest.raises(BadInput) as refused:
        begin(topology(RACKS.replace(old, new)))
    assert any(str(it).startswith(f"t.yaml:{line}: ") and words in str(it) for it in refused.value.problems)


@pytest.mark.parametrize("running", [RACKS], indirect=True)
@pytest.mark.parametrize("other", ["l2", "graph"])
def test_another_kind_of_underlay_is_refused(running, other):
    underlay = {
        "l2": "{kind: l2}",
        "graph": "{kind: graph, generator: ring, arguments: {n: 3}}",
    }[other]
    text = RACKS[: RACKS.index("  underlay")] + f"  underlay: {underlay}\n  network: {{plugin: flannel}}\n"
    with pytest.raises(BadInput, match=f"spec.underlay.kind is {other}, and the running cluster has leaf-sp"):
        begin(topology(text))
