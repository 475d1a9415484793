"""Every kind of underlay as a graph."""

import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wirings import TWO_SITES, nodes, wired

from fabric.topology.model import NodeEntry
from fabric.topology.wires import needs_netem, requirements, wires
from fabric.topology.wiring import Segment, Unwirable, natural, numbered, segments


def test_all_nodes_of_an_l2_underlay_hang_on_one_switch():
    (segment,) = segments(wired({"kind": "l2"}, 2))
    assert segment == Segment("switch", ("control-plane", "node-1", "node-2"), ("switch",), ())


def test_a_leaf_spine_wires_every_leaf_to_every_spine_and_shares_the_nodes_out():
    wiring = wired({"kind": "leaf-spine", "racks": 3, "spines": 2}, 7)
    assert wiring.neighbors("leaf-1", "router") == ["spine-1", "spine-2"]
    assert wiring.neighbors("leaf-1", "host") == ["control-plane", "node-1", "node-4", "node-7"]
    asns = {it.name: it.asn for it in wiring.of_role("router")}
    assert asns == {"leaf-1": 65001, "leaf-2": 65002, "leaf-3": 65003, "spine-1": 65000, "spine-2": 65000}


def test_parallel_uplinks_are_links_of_their_own():
    wiring = wired({"kind": "leaf-spine", "uplinks": 2, "spines": 1})
    assert [link.name for link in wiring.links_of("leaf-1") if link.b == "spine-1"] == [
        "leaf-1--spine-1",
        "leaf-1--spine-1--2",
    ]


def test_a_rack_is_a_number_of_nodes_and_a_node_stays_in_its_rack_when_others_leave():
    options = {"kind": "leaf-spine", "nodesPerRack": 2}
    some = wires(options, [NodeEntry("node-1"), NodeEntry("node-4")], Path()).wiring
    assert wired(options, 4).neighbors("leaf-2", "host") == ["node-3", "node-4"]
    assert some.neighbors("leaf-2", "host") == ["node-4"]


def test_a_rack_is_a_value_of_a_label():
    entries = [NodeEntry("a", {"rack": "r7"}), NodeEntry("b", {"rack": "r2"}), NodeEntry("c", {"rack": "r7"})]
    wiring = wires({"kind": "leaf-spine", "rackLabel": "rack"}, entries, Path()).wiring
    assert wiring.neighbors("leaf-r7", "host") == ["a", "c"]
    assert wiring.device("leaf-r7").asn == 65007


def test_a_drawn_graph_is_as_it_was_drawn():
    wiring = wired(TWO_SITES, 2)
    assert [(it.name, it.hosts, it.routers) for it in segments(wiring)] == [
        ("west", ("node-1",), ("west",)),
        ("hall", ("control-plane", "node-2"), ("east",)),
    ]
    assert [link.name for link in needs_netem(wiring)] == ["west--east"]
    assert requirements(wiring) == {"veth", "bridge", "netem", "tbf"}
    assert str(wiring.links_of("west")[0].shape) == "rate 100Mbit delay 10ms"


@pytest.mark.parametrize(
    "name, arguments, routers, links",
    [
        ("ring", {"n": 5}, 5, 5),
        ("fat-tree", {"k": 4}, 20, 32),
        ("balanced_tree", {"r": 2, "h": 3}, 15, 14),
        ("watts_strogatz", {"n": 10, "k": 4, "p": 0.1, "seed": 7}, 10, 20),
        ("complete", {"n": 6}, 6, 15),
    ],
)
def test_a_generator_makes_routers_of_vertices(name, arguments, routers, links):
    wiring = wired({"kind": "graph", "generator": name, "arguments": arguments}, 3)
    assert len(wiring.of_role("router")) == routers
    assert len([it for it in wiring.links if wiring.device(it.a).role != "host" and it.b[0] == "r"]) >= links
    assert len(wiring.links) == links + 4
    assert len({it.asn for it in wiring.of_role("router")}) == routers


def test_nodes_of_a_fat_tree_hang_on_its_edge():
    wiring = wired({"kind": "graph", "generator": "fat-tree", "arguments": {"k": 4}}, 16)
    assert {wiring.device(it).tier for node in nodes(16) for it in wiring.neighbors(node.name)} == {1}


@given(st.integers(1, 40), st.integers(0, 99))
def test_waxman_is_in_one_piece_and_the_same_each_time(n, seed):
    options = {"kind": "graph", "generator": "waxman", "arguments": {"n": n, "seed": seed}}
    one, two = wired(options, 1), wired(options, 1)
    assert nx.is_connected(one.graph)
    assert [it.name for it in one.links] == [it.name for it in two.links]


def test_a_random_graph_without_a_seed_is_the_same_in_every_process():
    program = (
        "from fabric.topology.generators import vertices_of\n"
        "print(vertices_of('gnp_random', {'n': 12, 'p': 0.5})[0])"
    )
    one, two = (subprocess.check_output([sys.executable, "-c", program]) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("balanced_tree", {"r": 500, "h": 500}),
        ("complete", {"n": 10**9}),
        ("gnp_random", {"n": 10**9, "p": 0}),
    ],
)
def test_a_generator_that_grows_without_bound_is_stopped(name, arguments):
    with pytest.raises(Unwirable, match="more than 500 routers or 5000 links"):
        wired({"kind": "graph", "generator": name, "arguments": arguments})


def test_natural_order_counts():
    assert sorted(["node-10", "node-2", "b", "node-2a", "2"], key=natural) == [
        "2",
        "b",
        "node-2",
        "node-2a",
        "node-10",
    ]


@given(st.lists(st.sampled_from([f"leaf-{n}" for n in range(12)]), unique=True), st.data())
def test_a_number_once_given_is_kept_and_no_two_are_alike(names, data):
    before = numbered(names, {}, 20)
    after_names = {*data.draw(st.lists(st.sampled_from(names or ["x"]))), "leaf-99", "new"}
    after = numbered(after_names, before, 20)
    assert len(set(after.values())) == len(after_names)
    assert all(after[name] == before[name] for name in after_names if name in before)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "l2"},
        {"kind": "leaf-spine"},
        {"kind": "graph", "generator": "ring", "arguments": {"n": 3}},
        {"kind": "graph", "switches": [{"name": "s1"}], "links": [{"between": ["node-1", "s1"]}]},
    ],
    ids=str,
)
def test_every_link_has_the_underlays_mtu_unless_it_says_another(options):
    assert {it.shape.mtu for it in wired(options | {"mtu": 9000}, 1).links} == {9000}


def test_the_control_plane_may_have_a_link_of_its_own():
    links = [{"between": ["s1", "node-1"]}, {"between": ["control-plane", "s1"], "rate": "10Mbit"}]
    wiring = wired({"kind": "graph", "switches": [{"name": "s1"}], "links": links}, 1)
    (link,) = wiring.links_of("control-plane")
    assert str(link.shape) == "rate 10Mbit"
