"""routes, bgp and link: tables, JSON, exit codes, and what is said of words that fit nothing."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network

import pytest
from support.command_line import RACKS

from fabric.cli import bgp_command, link_command, routes_command
from fabric.cluster import spec as specs
from fabric.errors import FabricError
from fabric.netstate.objects import NextHop, Route
from fabric.verify.bgp import NO_ANSWER, Session
from fabric.verify.routes import EQUAL, Line, Offer, Table

BLOCK = ip_network("10.244.2.0/26")
VIA = ip_address("192.168.0.12")
TAKEN = Offer("Mesh_192_168_0_12", "node-2", str(VIA), (), frozenset({VIA}))
LOST = Offer("Mesh_192_168_0_13", "", "192.168.0.13", (65001,), frozenset(), "AS path of 1 is longer than 0")
LINES = (
    Line(Route(ip_network("0.0.0.0/0"), via=ip_address("192.168.0.1"), dev="eth0", proto=3)),
    Line(Route(BLOCK, via=VIA, dev="eth0", proto=12, metric=32), (TAKEN, LOST)),
    Line(Route(ip_network("10.244.1.0/26"), type="blackhole", proto=12)),
    Line(Route(ip_network("10.244.3.0/26"), via=VIA, dev="vxlan.calico", proto=3, onlink=True)),
)


@pytest.fixture
def routes(fabric, monkeypatch):
    """`fabric routes` for a host with these routes."""
    fabric.cluster()
    fabric.table = Table(LINES, frozenset({ip_address("192.168.0.11")}))

    async def table(paths, spec, host):
        if isinstance(fabric.table, FabricError):
            raise fabric.table
        return fabric.table

    monkeypatch.setattr(routes_command.routes_of, "table", table)
    return lambda *words: fabric("routes", *words)


def test_routes_are_a_table_with_who_wrote_each_and_where_bird_has_it_from(routes):
    rows = [re.split(r" {3,}", line) for line in routes("node-1").out.splitlines()]
    assert rows == [
        ["DESTINATION", "WAY", "METRIC", "WRITTEN BY", "FROM"],
        ["default", "via 192.168.0.1 dev eth0", "boot"],
        ["10.244.2.0/26", "via 192.168.0.12 dev eth0", "32", "bird", "Mesh_192_168_0_12 (node-2)"],
        ["10.244.1.0/26", "blackhole", "bird"],
        ["10.244.3.0/26", "via 192.168.0.12 dev vxlan.calico onlink", "felix"],
    ]
    wide = routes("node-1", "-o", "wide").out
    assert "NOT TAKEN" in wide and "Mesh_192_168_0_13: AS path of 1 is longer than 0" in wide


def test_an_address_is_answered_with_the_route_that_wins_and_why_not_the_others(routes):
    answer = routes("node-1", "10.244.2.7")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "10.244.2.7 on node-1: 10.244.2.0/26 via 192.168.0.12 dev eth0, written by bird, "
        "from Mesh_192_168_0_12 (node-2)",
        "  BIRD took Mesh_192_168_0_12 (node-2) by 192.168.0.12",
        "  BIRD has  Mesh_192_168_0_13 by 192.168.0.13, AS path 65001: AS path of 1 is longer than 0",
        "not: default via 192.168.0.1 dev eth0, written by boot: /0 is shorter than /26",
    ]


def test_of_one_prefix_the_higher_metric_is_the_reason(routes, fabric):
    lower = Line(Route(BLOCK, via=VIA, dev="eth0", proto=80))
    fabric.table = Table((*LINES, lower), frozenset())
    last = routes("node-1", "10.244.2.7").out.splitlines()
    assert any(
        line.endswith("written by bird, from Mesh_192_168_0_12 (node-2): metric 32 is higher than 0")
        for line in last
    )


def test_json_has_every_route_or_those_that_match(routes):
    every = json.loads(routes("node-1", "-o", "json").out)
    assert [it["destination"] for it in every] == ["0.0.0.0/0", str(BLOCK), "10.244.1.0/26", "10.244.3.0/26"]
    assert every[1]["bird"][1] == {
        "session": "Mesh_192_168_0_13", "peer": "", "nextHop": "192.168.0.13", "asPath": [65001],
        "taken": False, "reason": "AS path of 1 is longer than 0",
    }  # fmt: skip
    assert every[3]["nextHops"] == [{"via": str(VIA), "device": "vxlan.calico", "onlink": True}]
    one = json.loads(routes("node-1", "10.244.2.7", "-o", "json").out)
    assert (one["address"], one["isOwn"], len(one["routes"])) == ("10.244.2.7", False, 2)
    own = json.loads(routes("node-1", "192.168.0.11", "-o", "json").out)
    assert own["isOwn"]


def test_a_network_shows_what_lies_in_it(routes):
    inside = json.loads(routes("node-1", "10.244.2.1/24", "-o", "json").out)
    assert [it["destination"] for it in inside] == [str(BLOCK)]
    answer = routes("node-1", "10.99.0.0/16")
    assert answer.code == 1
    assert answer.err == "error: node-1 has no route to 10.99.0.0/16, nor to any network in it\n"


def test_an_address_without_a_route_is_unreachable_and_code_1(routes, fabric):
    fabric.table = Table(LINES[1:], frozenset())
    answer = routes("node-1", "192.0.2.1")
    assert (answer.code, answer.out) == (1, "")
    assert "node-1 has no route to 192.0.2.1: it answers that the network is unreachable" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["node-9"], "NODE: no node 'node-9'; there: control-plane, node-1, node-2, switch"),
        (["node-1", "pod-1"], "DESTINATION: 'pod-1' is neither an address (10.244.1.5) nor a network"),
        (["node-1", "10.244.0.0/33"], "DESTINATION: '10.244.0.0/33' is neither"),
    ],
)
def test_words_that_name_no_host_or_destination_are_bad_input(routes, words, said):
    answer = routes(*words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err


def test_a_daemon_that_does_not_answer_is_told_beside_the_kernels_routes(routes, fabric):
    fabric.table = Table(LINES, frozenset(), "BIRD at node-1 is not running")
    answer = routes("node-1")
    assert answer.code == 0 and answer.err == "! BIRD at node-1 is not running\n" and "default" in answer.out
    fabric.table = FabricError("node-1 is off")
    assert routes("node-1").code == 1


def test_two_ways_of_one_route_stand_side_by_side(routes, fabric):
    ways = (NextHop(ip_address("172.16.0.1"), "spine-1"), NextHop(ip_address("172.16.0.3"), "spine-2"))
    second = Offer("spine2", "spine-2", "172.16.0.3", (), frozenset({ways[1].via}), EQUAL)
    fabric.table = Table((Line(Route(BLOCK, next_hops=ways, proto=12), (TAKEN, second)),), frozenset())
    out = routes("node-1").out
    assert "via 172.16.0.1 dev spine-1, via 172.16.0.3 dev spine-2" in out


PEERING = (64512, 64512, "internal", "Established", 61.0, 2, 3)
UP = Session("node-1", "Mesh_1", "node-2", "192.168.0.12", *PEERING)
DOWN = Session("node-2", "Global_1", address="192.0.2.1", state="Active", reason="Connection refused")
SILENT = Session("node-3", "", state=NO_ANSWER, reason="BIRD at node-3 is not running")


@pytest.fixture
def bgp(fabric, monkeypatch):
    fabric.cluster()
    fabric.sessions = [UP, DOWN, SILENT]

    async def sessions(paths, spec):
        return fabric.sessions

    monkeypatch.setattr(bgp_command, "birds", lambda paths, spec: fabric.sessions)
    monkeypatch.setattr(bgp_command.sessions_of, "sessions", sessions)
    return lambda *words: fabric("bgp", *words)


def test_every_end_of_a_session_is_a_line_and_they_are_counted(bgp):
    answer = bgp()
    seen = ["internal", "Established", "61s", "2", "3"]
    heading, up, down, silent, _, last = answer.out.splitlines()
    assert answer.code == 0 and heading.split()[:4] == ["NODE", "PEER", "ADDRESS", "AS"]
    assert up.split() == [
        "node-1",
        "node-2",
        "192.168.0.12",
        "64512",
        *seen,
    ]
    assert down.split()[:3] == ["node-2", "-", "192.0.2.1"] and down.endswith("Connection refused")
    assert silent.split()[0] == "node-3" and silent.endswith("BIRD at node-3 is not running")
    assert last == "1/3 ends of sessions established"
    assert "SESSION" in bgp("-o", "wide").out and "Global_1" in bgp("-o", "wide").out


def test_down_shows_what_is_not_established_and_exits_with_1_if_there_is_any(bgp, fabric):
    answer = bgp("--down")
    assert answer.code == 1 and "Established" not in answer.out
    assert [it["node"] for it in json.loads(bgp("--down", "-o", "json").out)] == ["node-2", "node-3"]
    fabric.sessions = [UP]
    answer = bgp("--down")
    assert (answer.code, answer.out) == (0, "1/1 ends of sessions established\n")


def test_a_cluster_without_daemons_says_so(bgp, fabric):
    fabric.sessions = []
    answer = bgp()
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: no host of cluster lab has a BGP daemon\n"


@pytest.fixture
def link(fabric, monkeypatch):
    """`fabric link` on two leaves and two spines, whose wires follow at once."""
    fabric.paths = fabric.cluster(spec=RACKS)
    applied = []

    async def follow(paths, names):
        applied.append(names)

    monkeypatch.setattr(link_command.links, "applied", follow)
    fabric.applied = applied
    return lambda *words: fabric("link", *words)


def test_a_cable_is_pulled_and_put_back(link, fabric):
    assert link("down", "leaf-1", "spine-1").out == "link leaf-1--spine-1 is down (mtu 1500)\n"
    (row,) = json.loads(link("show", "leaf-1", "spine-1", "-o", "json").out)
    assert (row["up"], row["changed"]) == (False, True)
    assert "changed" in link("show", "leaf-1", "spine-1").out
    assert link("up", "spine-1", "leaf-1").out == "link leaf-1--spine-1 is up (mtu 1500)\n"
    (row,) = json.loads(link("show", "leaf-1", "spine-1", "-o", "json").out)
    assert (row["up"], row["changed"]) == (True, False), "as the file has it"
    assert fabric.applied == [("leaf-1", "spine-1"), ("spine-1", "leaf-1")]


def test_what_a_link_does_to_packets_is_changed_and_reset(link, fabric):
    assert link("set", "leaf-1", "spine-1", "mtu=1400").out == "link leaf-1--spine-1 is up (mtu 1400)\n"
    assert specs.read(fabric.paths.spec).underlay.changes
    assert link("reset", "leaf-1", "spine-1").out == "link leaf-1--spine-1 is up (mtu 1500)\n"
    assert not specs.read(fabric.paths.spec).underlay.changes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["down", "leaf-9", "spine-1"], "A: no device 'leaf-9'; there: control-plane, leaf-1, "),
        (["down", "leaf-1", "leaf-2"], "B: no link between leaf-1 and leaf-2; leaf-1 is linked to "),
        (
            ["down", "leaf-1", "spine-1", "--number", "2"],
            "leaf-1 and spine-1 have 1 link, numbered from 1",
        ),
        (["show", "leaf-9"], "A: no device 'leaf-9'"),
        (
            ["set", "leaf-1", "spine-1", "colour=red"],
            "colour=red: not an attribute of a link; ",
        ),
        (["set", "leaf-1", "spine-1", "mtu"], "mtu: no value; write mtu=VALUE, or mtu=none to take it away"),
        (["set", "leaf-1", "spine-1", "mtu=9"], "mtu=9: mtu is '9'; allowed: "),
        (["set", "leaf-1", "spine-1", "delay=soon"], "delay=soon: delay "),
    ],
)
def test_a_change_that_cannot_be_changes_nothing_and_is_bad_input(link, fabric, words, said):
    before = fabric.paths.spec.read_bytes()
    answer = link(*words)
    assert (answer.code, answer.out) == (2, "") and said in answer.err
    assert fabric.paths.spec.read_bytes() == before and fabric.applied == []


def test_show_lists_every_link_in_natural_order(link):
    rows = link("show").out.splitlines()
    assert rows[0].split() == ["A", "B", "STATE", "MTU", "SHAPE", "FILE"]
    assert len(rows) == 8 and all(row.endswith("same") for row in rows[1:])
