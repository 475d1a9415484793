"""Every way to get an underlay wrong gives a message with its line, by the schema or by what stands on it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from support.wirings import wired

from fabric.topology.complaints import complaints
from fabric.topology.document import documents
from fabric.topology.model import NodeEntry
from fabric.topology.underlay_schema import KINDS, SCHEMA, schema_of
from fabric.topology.wires import wires
from fabric.topology.wiring import Unwirable

HEAD = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: broken}
spec:
  network: {plugin: flannel}
  nodes:
    - {name: node-1, labels: {rack: a}}
    - {name: node-2, labels: {rack: b}}
  underlay:
"""
LEAF_SPINE = """\
    kind: leaf-spine
    racks: 2
    spines: 2
    leafAS: 65001
    spineAS: 65000
    subnet: 192.168.0.0/16
    subnetPrefix: 24
    linkSubnet: 172.16.0.0/24
    loopbackSubnet: 172.17.0.0/24
    uplinkLinks: {rate: 10Gbit}
"""
GRAPH = """\
    kind: graph
    controlPlane: s1
    routers:
      - {name: r1, asn: 65001}
      - {name: r2, asn: 65002}
    switches:
      - {name: s1}
      - {name: s2}
    links:
      - {between: [r1, r2], rate: 1Gbit, delay: 10ms}
      - {between: [r1, s1]}
      - {between: [r2, s2]}
      - {between: [node-1, s1]}
      - {between: [node-2, s2]}
"""
BROKEN = {
    # name: (good text, what stands in it, what stands instead, line, words of the message)
    "no racks": (LEAF_SPINE, "racks: 2", "racks: 0", 11, "1 to 250"),
    "too many spines": (LEAF_SPINE, "spines: 2", "spines: 17", 12, "1 to 16"),
    "unknown key": (LEAF_SPINE, "spines: 2", "spine: 2", 12, "did you mean 'spines'"),
    "key of another kind": (LEAF_SPINE, "spines: 2", "routers: []", 12, "has no key 'routers'"),
    "AS beyond 32 bits": (LEAF_SPINE, "65000", "4294967295", 14, "1 to 4294967294"),
    "AS is text": (LEAF_SPINE, "65000", "spine", 14, "a whole number"),
    "AS of a rack is the spines'": (
        LEAF_SPINE,
        "leafAS: 65001",
        "leafAS: 64999",
        13,
        "the spines' own 65000",
    ),
    "AS_TRANS": (LEAF_SPINE, "spineAS: 65000", "spineAS: 23456", 9, "not 23456"),
    "two ways to say racks": (LEAF_SPINE, "spines: 2", "rackLabel: rack", 12, "exclude each other"),
    "racks and nodes per rack": (LEAF_SPINE, "spines: 2", "nodesPerRack: 2", 11, "follow from nodesPerRack"),
    "a node without rack": (LEAF_SPINE, "racks: 2", "rackLabel: zone", 7, "node-1 has no label 'zone'"),
    "subnet is no range": (LEAF_SPINE, "192.168.0.0/16", "192.168.0.0/33", 15, "192.168.0.0/33"),
    "subnet has host bits": (
        LEAF_SPINE,
        "172.16.0.0/24",
        "172.16.0.1/24",
        17,
        "host bits set; the range that it is in is 172.16.0.0/24",
    ),
    "subnet of another family": (LEAF_SPINE, "172.16.0.0/24", "fd00::/112", 17, "one family"),
    "prefix shorter than the subnet's": (LEAF_SPINE, "Prefix: 24", "Prefix: 12", 16, "allowed: 16 to 28"),
    "no room for racks": (
        LEAF_SPINE,
        "Prefix: 24",
        "Prefix: 16",
        16,
        "room for 1 subnet of /16; needed: 2",
    ),
    "no room for links": (LEAF_SPINE, "172.16.0.0/24", "172.16.0.0/30", 17, "8 needed"),
    "no room for routers": (
        LEAF_SPINE,
        "172.17.0.0/24",
        "172.17.0.0/30",
        18,
        "room for 3 routers, not 4",
    ),
    "links overlap nodes": (LEAF_SPINE, "172.16.0.0/24", "192.168.9.0/24", 15, "overlaps"),
    "links overlap pods": (LEAF_SPINE, "172.16.0.0/24", "10.244.9.0/24", 17, "overlaps spec.podCIDR"),
    "rate without unit": (LEAF_SPINE, "10Gbit", "10", 19, "a rate such as 100Mbit"),
    "rate too high": (LEAF_SPINE, "10Gbit", "100Gbit", 19, "8Kbit to 34Gbit"),
    "rate too low": (LEAF_SPINE, "10Gbit", "1Kbit", 19, "8Kbit"),
    **{
        f"{key} of hundreds of digits": (LEAF_SPINE, "rate: 10Gbit", f"{key}: {'9' * 400}{unit}", 19, words)
        for key, unit, words in (
            ("rate", "Mbit", "rate must be 8Kbit to 34Gbit"),
            ("delay", "ms", "delay is longer than 60 s"),
            ("jitter", "s", "jitter is longer than 60 s"),
            ("loss", "%", "loss is more than 100%"),
            ("delay: 1ms, reorder", "%", "reorder is more than 100%"),
        )
    },
    "loss above all": (LEAF_SPINE, "rate: 10Gbit", "loss: 101%", 19, "more than 100%"),
    "loss without sign": (LEAF_SPINE, "rate: 10Gbit", "loss: 0.5", 19, "allowed: text"),
    "jitter without delay": (LEAF_SPINE, "rate: 10Gbit", "jitter: 1ms", 19, "more than the delay"),
    "reorder without delay": (LEAF_SPINE, "rate: 10Gbit", "reorder: 1%", 19, "needs a delay"),
    "delay of an hour": (LEAF_SPINE, "rate: 10Gbit", "delay: 3600s", 19, "longer than 60 s"),
    "unknown attribute": (LEAF_SPINE, "rate: 10Gbit", "speed: 10Gbit", 19, "has no key 'speed'"),
    "unknown node": (
        GRAPH,
        "[node-2, s2]",
        "[node-3, s2]",
        23,
        "no node, router or switch is called 'node-3'",
    ),
    "a link with three ends": (GRAPH, "[r1, r2]", "[r1, r2, s1]", 19, "2 to 2 entries"),
    "a second link": (GRAPH, "[r1, s1]", "[r2, r1]", 20, "a second link between r2 and r1 (first: links[0])"),
    "a link to itself": (GRAPH, "[r1, s1]", "[r1, r1]", 20, "to itself"),
    "in two pieces": (
        GRAPH,
        "- {between: [r1, r2], rate: 1Gbit, delay: 10ms}",
        "",
        9,
        "the graph is in 2 pieces",
    ),
    "a node on no link": (GRAPH, "- {between: [node-2, s2]}", "", 9, "node-2 must have one link, and has 0"),
    "a node on two links": (GRAPH, "[r2, s2]", "[node-1, s2]", 9, "node-1 must have one link, and has 2"),
    "node on node": (
        GRAPH,
        "[node-2, s2]",
        "[node-2, node-1]",
        9,
        "nodes are linked to switches and routers",
    ),
    "neighbours of one AS": (GRAPH, "asn: 65002", "asn: 65001", 9, "both have AS 65001"),
    "a router called as a node": (GRAPH, "name: r2, asn", "name: node-2, asn", 14, "a second 'node-2'"),
    "a switch called as a router": (GRAPH, "name: s2", "name: r1", 17, "a second 'r1'"),
    "a router in capitals": (GRAPH, "name: r2", "name: R2", 14, "lower-case letters"),
    "control plane nowhere": (GRAPH, "controlPlane: s1", "controlPlane: s9", 11, "no router or switch"),
    "switches in a loop": (
        GRAPH,
        "- {between: [r2, s2]}",
        "- {between: [s1, s2]}\n      - {between: [s1, s3]}\n      - {between: [s3, s2]}",
        22,
        "called 's3'",
    ),
    "arguments without a generator": (
        GRAPH,
        "controlPlane: s1",
        "arguments: {n: 3}",
        11,
        "with a generator only",
    ),
    "routers beside a generator": (GRAPH, "controlPlane: s1", "generator: ring", 12, "without a generator"),
}


def messages(text: str) -> list[str]:
    """Return `line: sentence` for all that is wrong: first by the schema, then by what stands on it."""
    (document,) = documents(HEAD + text, "broken.yaml")
    spec = document.value["spec"]
    found = list(complaints(document, schema_of(spec["underlay"]["kind"])))
    if not found:
        nodes = [NodeEntry(node["name"], node["labels"]) for node in spec["nodes"]]
        try:
            wires(spec["underlay"], nodes, Path(), others={("podCIDR",): ip_network("10.244.0.0/16")})
        except Unwirable as error:
            found = [(("spec", *at), what) for at, what in error.complaints]
    lines = document.lines
    return [
        f"{next(lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in lines)}: {what}"
        for at, what in found
    ]


@pytest.mark.parametrize("good", [LEAF_SPINE, GRAPH, "    kind: l2\n"], ids=["leaf-spine", "graph", "l2"])
def test_what_is_broken_below_was_right_before(good):
    assert messages(good) == []


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_underlay_is_refused_with_its_line(case):
    good, before, after, line, words = case
    assert before in good
    found = messages(good.replace(before, after, 1))
    assert any(it.startswith(f"{line}: ") and words in it for it in found), found


@pytest.mark.parametrize(
    "generator, words",
    [
        ("{generator: mesh}", "no generator 'mesh'"),
        ("{generator: ring}", "missing a required argument: 'n'"),
        ("{generator: ring, arguments: {n: 501}}", "more than 500 routers"),
        ("{generator: ring, arguments: {n: 0}}", "no vertex, and so no router"),
        ("{generator: fat-tree, arguments: {k: 3}}", "k must be even"),
        ("{generator: random_regular, arguments: {d: 3, n: 5}}", "n * d must be even"),
        ("{generator: gnp_random, arguments: {n: 9, p: 0}}", "9 pieces"),
        ("{generator: DiGraph}", "no generator 'DiGraph'"),
    ],
)
def test_what_a_generator_cannot_make_is_said(generator, words):
    found = messages(f"    {{kind: graph, {generator[1:]}\n")
    assert len(found) >= 1 and any(words in it for it in found), found


def test_a_rack_of_more_nodes_than_addresses_is_refused():
    with pytest.raises(Unwirable, match="/28 has room for 4 nodes; leaf-1 has 5"):
        wired({"kind": "leaf-spine", "racks": 1, "subnetPrefix": 28}, 5)


def test_a_loop_of_switches_is_refused():
    loop = GRAPH.replace(
        "      - {between: [r2, s2]}\n", "      - {between: [s1, s2]}\n      - {between: [s2, s3]}\n"
    )
    loop = loop.replace("      - {name: s2}\n", "      - {name: s2}\n      - {name: s3}\n")
    found = messages(loop + "      - {between: [s3, s1]}\n")
    assert any("form a loop" in it for it in found), found


@pytest.mark.parametrize("good", [LEAF_SPINE, GRAPH, "    kind: l2\n"], ids=["leaf-spine", "graph", "l2"])
def test_the_schema_for_editors_takes_every_kind_with_its_own_keys(good):
    (right,) = documents(HEAD + good, "a.yaml")
    (wrong,) = documents(HEAD + good + "    colour: red\n", "a.yaml")
    assert not list(complaints(right, SCHEMA))
    assert list(complaints(wrong, SCHEMA))
    assert set(KINDS) == {"l2", "leaf-spine", "graph", "mininet"}
