from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from support.wirings import TWO_SITES, addressed, nodes, wired

from fabric.topology import routed
from fabric.topology.drawing import Peering, Picture, dot, tree
from fabric.topology.svg import layout, svg
from fabric.topology.wiring import Wiring

PODS = {"node-1": ["default/pod-1", "default/pod-10", "default/pod-2"], "node-2": ["default/pod-3"]}


@pytest.fixture
def racks() -> Picture:
    wiring, given = addressed({"kind": "leaf-spine", "racks": 2}, nodes(4))
    sessions = [
        Peering(name, peer.name, up=(name, peer.name) != ("leaf-2", "spine-1"))
        for name, speaker in routed.speakers(wiring, given).items()
        for peer in speaker.neighbors
        if name < peer.name
    ]
    return Picture(wiring, PODS, sessions, {name: str(it) for name, it in given.hosts.items()})


@pytest.fixture
def sites() -> Picture:
    return Picture(wired(TWO_SITES, 2), PODS)


@pytest.mark.parametrize("draw", [tree, dot, svg], ids=lambda draw: draw.__name__)
def test_a_leaf_spine_is_drawn(golden, racks, draw):
    golden(f"leaf-spine-{draw.__name__}", draw(racks))


@pytest.mark.parametrize("draw", [tree, dot, svg], ids=lambda draw: draw.__name__)
def test_two_sites_are_drawn_with_what_their_links_do(golden, sites, draw):
    golden(f"two-sites-{draw.__name__}", draw(sites))


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "l2"},
        {"kind": "leaf-spine", "racks": 8, "spines": 3},
        {"kind": "graph", "generator": "fat-tree", "arguments": {"k": 6}},
    ],
    ids=lambda it: it["kind"],
)
def test_no_two_boxes_overlap_and_every_device_is_drawn_once(options):
    wiring = wired(options, 40)
    places = layout(wiring)
    assert places.keys() == {it.name for it in wiring.devices}
    rows: dict[float, list[float]] = {}
    for x, y in places.values():
        rows.setdefault(y, []).append(x)
    for row in rows.values():
        row.sort()
        assert all(b - a >= 132 for a, b in pairwise(row))
    lines = tree(Picture(wiring)).splitlines()
    for device in wiring.devices:
        full = [line for line in lines if line.lstrip("│├└─ ").split(" ")[0] == device.name]
        assert len(full) == 1


def test_a_tree_says_of_a_link_that_it_is_down_and_which_of_two_it_is():
    wiring = wired({"kind": "leaf-spine", "racks": 1, "spines": 1, "uplinks": 2}, 1)
    links = [replace(it, up=it.number != 1 or it.b != "spine-1") for it in wiring.links]
    lines = tree(Picture(Wiring(wiring.devices, links))).splitlines()
    assert "├─ leaf-1 router AS 65001 [link down]" in lines
    assert "└─ = leaf-1 (link 2)" in lines


def test_names_that_mean_something_to_xml_or_dot_are_quoted():
    picture = Picture(wired({"kind": "l2"}, 1), {"node-1": ['<&">\\']})
    ElementTree.fromstring(svg(picture))
    assert '[shape=plain, label="<&\\">\\\\"];' in dot(picture)
