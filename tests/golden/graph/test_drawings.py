from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from support.wirings import TWO_SITES, addressed, nodes, wired

from fabric.graph.blocks import Box
from fabric.graph.cables import crosses
from fabric.graph.layout import layout
from fabric.graph.picture import Peering, Picture
from fabric.graph.sessions import Lines
from fabric.graph.svg import svg
from fabric.graph.text import dot, tree
from fabric.topology import routed
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
        {"kind": "leaf-spine", "racks": 20, "spines": 4, "uplinks": 2},
        {"kind": "graph", "generator": "fat-tree", "arguments": {"k": 6}},
        {"kind": "graph", "generator": "ring", "arguments": {"n": 10}},
        {"kind": "graph", "generator": "waxman", "arguments": {"n": 20}},
    ],
    ids=lambda it: it.get("generator", it["kind"]),
)
def test_no_two_boxes_overlap_and_every_device_is_drawn_once(options):
    wiring = wired(options, 40)
    places = layout(Picture(wiring, {"node-1": [f"pod-{number}" for number in range(30)]}))
    assert places.boxes.keys() == {it.name for it in wiring.devices}
    assert not [(a, b) for a, b in combinations(places.boxes.values(), 2) if a.overlaps(b)]
    assert not [(a, b) for a, b in combinations(places.frames.values(), 2) if a.overlaps(b)]
    assert 0.7 < places.width / places.height < 4
    assert places.width < 3100
    lines = tree(Picture(wiring)).splitlines()
    for device in wiring.devices:
        full = [line for line in lines if line.lstrip("│├└─ ").split(" ")[0] == device.name]
        assert len(full) == 1


def generated(generator, **arguments):
    return {"kind": "graph", "generator": generator, "arguments": arguments}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        *((generated("ring", n=n), hosts) for n in (3, 4, 8, 12, 30) for hosts in (0, n, 4 * n)),
        *(
            ({"kind": "leaf-spine", "racks": r, "spines": s, "uplinks": 2}, n)
            for r, s, n in ((4, 2, 9), (20, 4, 50))
        ),
        (generated("fat-tree", k=6), 30),
        (generated("waxman", n=20), 40),
        (generated("complete_graph", n=8), 24),
        (generated("path_graph", n=7), 30),
        (generated("balanced_tree", r=3, h=2), 30),
        (generated("watts_strogatz", n=12, k=4, p=0.2), 24),
    ],
    ids=str,
)
def test_no_cable_passes_behind_a_box_or_a_rack_that_is_not_at_its_end(options, count):
    wiring = wired(options, count)
    places = layout(Picture(wiring, {"node-1": ["pod-1", "pod-2", "pod-3"]}))
    cables = places.obstacles.cables(wiring)
    for link in wiring.links:
        for part in pairwise(cables.get(link.name, ())):
            behind = {
                name
                for name, box in (*places.boxes.items(), *places.frames.items())
                if name not in (link.a, link.b) and crosses(box, *part)
            }
            assert not behind, f"{link.name} passes behind {behind}"
    blocks = places.boxes.keys() - {host for rows in places.rows.values() for row in rows for host in row}
    assert cables.keys() == {it.name for it in wiring.links if it.a in blocks and it.b in blocks}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"kind": "l2"}, 10),
        ({"kind": "leaf-spine", "racks": 2, "spines": 2}, 9),
        ({"kind": "leaf-spine", "racks": 3, "spines": 2, "uplinks": 2}, 6),
        (generated("ring", n=8), 8),
        (generated("complete_graph", n=6), 3),
        (generated("waxman", n=12), 6),
    ],
    ids=str,
)
def test_no_session_passes_behind_a_box_that_is_not_at_its_end_or_along_another(options, count):
    wiring, given = addressed(options, nodes(count))
    hosts = [it.name for it in nodes(count)]
    fabric = {
        tuple(sorted((a, it.name)))
        for a, one in routed.speakers(wiring, given).items()
        for it in one.neighbors
    }
    for pairs in (sorted(fabric), list(combinations(hosts, 2))):
        picture = Picture(wiring, {"node-1": ["pod-1", "pod-2"]}, [Peering(a, b) for a, b in pairs])
        places = layout(picture)
        lines = Lines(places, places.obstacles.cables(wiring), wiring).of(picture.peerings)
        assert sorted((it.a, it.b) for it, _ in lines) == sorted(pairs)
        for session, line in lines:
            behind = {
                name
                for name, box in places.boxes.items()
                if name not in (session.a, session.b) and any(crosses(box, *it) for it in pairwise(line))
            }
            assert not behind, f"{session.a} - {session.b} passes behind {behind}"
        assert len({line for _, line in lines}) == len(lines)


def test_a_route_reflector_is_marked_with_its_cluster_id():
    picture = Picture(wired({"kind": "l2"}, 2), reflectors={"node-1": "244.0.0.1"})
    assert "├─ node-1 route reflector 244.0.0.1" in tree(picture).splitlines()
    assert 'label="node-1 route reflector 244.0.0.1"' in dot(picture)
    drawn = svg(picture)
    assert drawn.count(">reflector 244.0.0.1<") == 1 and "route reflector, with its cluster id: 1" in drawn
    assert "reflector" not in svg(Picture(wired({"kind": "l2"}, 2)))


@pytest.mark.parametrize("nodes", [0, 4, 16])
@pytest.mark.parametrize("routers", [4, 8, 12])
def test_all_cables_of_a_ring_are_straight(routers, nodes):
    wiring = wired(generated("ring", n=routers), nodes)
    assert layout(Picture(wiring)).obstacles.in_the_way(wiring) == 0


def test_a_line_crosses_a_box_when_some_of_it_is_inside():
    box = Box(10, 10, 20, 20)
    assert (
        crosses(box, (0, 20), (40, 20))
        and crosses(box, (15, 15), (16, 16))
        and crosses(box, (5, 12), (12, 5)) is False
    )
    assert not crosses(box, (0, 10), (40, 10)), "it touches the edge"
    assert crosses(box, (0, 0), (40, 40)) and not crosses(box, (0, 0), (9, 40))


def test_a_tree_says_of_a_link_that_it_is_down_and_which_of_two_it_is():
    wiring = wired({"kind": "leaf-spine", "racks": 1, "spines": 1, "uplinks": 2}, 1)
    links = [replace(it, up=it.number != 1 or it.b != "spine-1") for it in wiring.links]
    lines = tree(Picture(Wiring(wiring.devices, links))).splitlines()
    assert "├─ leaf-1 router AS 65001 [link to spine-1: down]" in lines
    assert "└─ = leaf-1 (link 2)" in lines


def test_names_that_mean_something_to_xml_or_dot_are_quoted():
    picture = Picture(wired({"kind": "l2"}, 1), {"node-1": ['<&">\\']})
    ElementTree.fromstring(svg(picture))
    assert '[shape=plain, label="<&\\">\\\\"];' in dot(picture)


def test_a_legend_says_what_most_links_do_and_only_what_differs_stands_beside_a_link():
    drawn = svg(Picture(wired({"kind": "leaf-spine", "racks": 4, "uplinkLinks": {"rate": "10Gbit"}}, 8)))
    assert drawn.count("10Gbit") == 1
    assert "link between routers or switches: 8; rate 10Gbit unless said" in drawn


def test_of_many_sessions_only_those_that_are_down_are_drawn():
    sessions = [
        Peering(f"node-{a}", f"node-{b}", up=(a, b) != (1, 2)) for a, b in combinations(range(1, 21), 2)
    ]
    drawn = svg(Picture(wired({"kind": "l2"}, 20), peerings=sessions))
    assert "BGP session: 189, not drawn" in drawn
    assert "BGP session that is down: 1" in drawn
    assert drawn.count("stroke-dasharray") == 1 + 2, "one session, and two lines of the legend"


def test_pods_are_named_while_they_are_few_and_counted_when_they_are_many():
    drawn = svg(
        Picture(wired({"kind": "l2"}, 2), {"node-1": ["pod-1"], "node-2": [f"pod-{n}" for n in range(2, 40)]})
    )
    assert ">pod-1<" in drawn and ">38 pods<" in drawn and ">pod-2<" not in drawn


def test_addresses_and_interfaces_are_written_on_request():
    wiring, given = addressed({"kind": "leaf-spine", "racks": 2}, nodes(2))
    picture = Picture(wiring, labels={name: str(it) for name, it in given.hosts.items()})
    assert ">192.168.1.11/24<" not in svg(picture)
    assert ">192.168.1.11/24<" in svg(picture, addresses=True)
    assert svg(picture, interfaces=True).count(">spine-1<") == 1 + 2
