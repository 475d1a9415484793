"""`fabric bgp` and `fabric routes` on racks with an AS number each: nodes, leaves and spines speak BGP."""

import json

import pytest
from support.clusters import fabric
from support.eventually import eventually
from support.shipped import Shipped


@pytest.fixture(scope="module")
def racks(tmp_path_factory):
    """node-1 and node-2 behind leaf-1, node-3 and node-4 behind leaf-2, two spines."""
    cluster = Shipped(tmp_path_factory.mktemp("racks"), "as-per-rack")
    try:
        cluster.report = cluster.up()
        yield cluster
    finally:
        cluster.close()


def told(*arguments, codes=(0,)):
    """What a command says as JSON."""
    done = fabric(*arguments, "-o", "json")
    assert done.returncode in codes, done.stderr
    return json.loads(done.stdout)


def sessions(cluster, *options):
    """`fabric bgp --down` says by its exit code whether there are any."""
    return told("bgp", cluster.name, *options, codes=(0, 1) if "--down" in options else (0,))


def routes(cluster, *arguments):
    return told("routes", "--cluster", cluster.name, *arguments)


async def all_up(cluster):
    await eventually(lambda: sessions(cluster, "--down") == [])


async def test_every_session_is_seen_from_both_ends(racks):
    await all_up(racks)
    found = {(it["node"], it["peer"]) for it in sessions(racks)}
    assert found == {(b, a) for a, b in found}
    assert {peer for node, peer in found if node == "leaf-1"} == {"node-1", "node-2", "spine-1", "spine-2"}
    (own,) = [it for it in sessions(racks) if it["node"] == "node-1"]
    assert own["session"] == "Node_192_168_1_1" and own["sent"] == 1 and own["received"] >= 3
    assert (own["type"], own["state"], own["reason"]) == ("internal", "Established", "")


async def test_the_table_has_a_line_for_each_end_and_a_sum(racks):
    await all_up(racks)
    lines = fabric("bgp", racks.name).stdout.splitlines()
    assert lines[0].split() == [
        *("NODE", "PEER", "ADDRESS", "AS", "TYPE", "STATE", "UPTIME", "RECEIVED", "SENT", "REASON")
    ]
    assert lines[-1] == "16/16 ends of sessions established"
    assert fabric("bgp", racks.name, "--down").stdout.splitlines() == lines[-1:]


async def test_a_bird_that_does_not_answer_is_a_line_with_the_reason(racks):
    await all_up(racks)
    racks.exec("node:node-3", "pkill", "-STOP", "-x", "bird")
    try:
        (stuck,) = [it for it in sessions(racks, "--down") if it["state"] == "No answer"]
    finally:
        racks.exec("node:node-3", "pkill", "-CONT", "-x", "bird")
    assert stuck["node"] == "node-3"
    assert stuck["reason"] == "BIRD at node-3 does not greet: it is stuck or stopped"


async def test_each_route_says_who_wrote_it_and_from_which_session(racks):
    await all_up(racks)
    by_writer = {it["destination"]: it["writtenBy"] for it in routes(racks, "node-1")}
    assert by_writer["0.0.0.0/0"] == "static" and by_writer["192.168.1.0/24"] == "kernel"
    pod = racks.address("pod-1")
    assert by_writer[f"{pod}/32"] == "felix"
    (block,) = [it for it in routes(racks, "node-1") if it["type"] == "blackhole"]
    assert [it["session"] for it in block["bird"]] == ["static1"]


async def test_a_leaf_takes_both_ways_to_the_other_rack(racks):
    await all_up(racks)
    block = await eventually(lambda: ecmp(racks))
    assert {hop["device"] for hop in block["nextHops"]} == {"spine-1", "spine-2"}
    assert {it["peer"] for it in block["bird"] if it["taken"]} == {"spine-1", "spine-2"}


def ecmp(cluster):
    """The leaf's route to the block of pod-3, when it has two ways."""
    winner = routes(cluster, "leaf-1", cluster.address("pod-3"))["routes"][0]
    return winner if len(winner["nextHops"]) == 2 else None


async def test_for_an_address_the_winner_comes_first_and_the_others_say_why_they_are_not(racks):
    await all_up(racks)
    address = racks.address("pod-3")
    first, *others = fabric("routes", "node-1", address, "--cluster", racks.name).stdout.splitlines()
    assert first.startswith(f"{address} on node-1: ") and first.endswith("from Node_192_168_1_1 (leaf-1)")
    assert others[0].startswith("  BIRD took Node_192_168_1_1 (leaf-1) by ")
    assert others[-1] == "not: default via 192.168.1.1 dev eth0, written by static: /0 is shorter than /26"
    own = routes(racks, "node-1", "192.168.1.11")
    assert own["isOwn"] and own["routes"][0]["writtenBy"] == "kernel"


def test_bad_input_is_refused_with_what_there_is(racks):
    nowhere = fabric("routes", "node-9", "--cluster", racks.name)
    assert nowhere.returncode == 2 and "node-1, node-2" in nowhere.stderr
    nothing = fabric("routes", "node-1", "pod-1", "--cluster", racks.name)
    assert nothing.returncode == 2 and "'pod-1' is neither an address" in nothing.stderr
    empty = fabric("routes", "node-1", "203.0.113.0/24", "--cluster", racks.name)
    assert empty.returncode == 1 and "no route to 203.0.113.0/24" in empty.stderr
