"""A host's table, from its kernel and from a BIRD that answers, is silent, or is not there."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from support.recorded_bird import answering, configured

from fabric.cluster import runtimes
from fabric.errors import FabricError
from fabric.netstate.objects import NextHop, Route
from fabric.verify import routes as routes_of
from fabric.verify.routes import EQUAL, Line, Offer

BLOCK = Route(ip_network("10.244.2.0/26"), via=ip_address("192.168.0.2"), dev="eth0", proto=12)
DEFAULT = Route(ip_network("0.0.0.0/0"), via=ip_address("192.168.0.1"), dev="eth0", proto=3)
HOLE = Route(ip_network("10.244.1.0/26"), type="blackhole", proto=12)
STRANGER = Route(ip_network("10.97.0.0/16"), dev="eth0", proto=4)


@pytest.fixture
def kernel(monkeypatch):
    """node-1 lives, and has these routes in its main table."""
    found = [BLOCK, DEFAULT, STRANGER, HOLE]

    async def pids(paths, workers):
        return {"node-1": 1}

    async def own(pids, host):
        return frozenset({ip_address("192.168.0.11")})

    def main_table(pid):
        if isinstance(found[0], Exception):
            raise found[0]
        return found

    monkeypatch.setattr(runtimes, "host_pids", pids)
    monkeypatch.setattr(routes_of, "_own_addresses", own)
    monkeypatch.setattr(routes_of, "main_table", main_table)
    return found


async def test_routes_are_in_order_and_each_of_birds_has_its_story(cluster, kernel):
    paths, spec = cluster()
    async with answering(paths, "node-1"):
        table = await routes_of.table(paths, spec, "node-1")
    assert [line.route for line in table.lines] == [DEFAULT, STRANGER, HOLE, BLOCK]
    assert table.trouble == "" and table.is_own(ip_address("192.168.0.11"))
    story = {line.route: line.offers for line in table.lines}
    (block,) = story[BLOCK]
    assert (block.session, block.peer, block.next_hop) == ("Mesh_192_168_0_2", "control-plane", "192.168.0.2")
    assert block.as_path == (64513,) and block.is_taken
    assert block.who == "Mesh_192_168_0_2 (control-plane)"
    assert [it.who for it in story[HOLE]] == ["static1"] and story[HOLE][0].next_hop == "blackhole"
    by_stranger = next(line for line in table.lines if line.route is STRANGER)
    assert by_stranger.offers[0].session == "services" and by_stranger.taken == (), "BIRD did not write it"
    assert story[DEFAULT] == ()


async def test_a_daemon_that_is_silent_leaves_the_kernels_routes_and_a_word(cluster, kernel):
    paths, spec = cluster()
    configured(paths, "node-1")
    table = await routes_of.table(paths, spec, "node-1")
    assert "BIRD at node-1 is not running" in table.trouble
    assert len(table.lines) == 4 and all(line.offers == () for line in table.lines)


async def test_a_host_that_is_off_or_ends_meanwhile_is_told(cluster, kernel):
    paths, spec = cluster()
    with pytest.raises(FabricError, match="node-2 is off: it has no kernel to ask; see fabric status lab"):
        await routes_of.table(paths, spec, "node-2")
    kernel.insert(0, OSError(3, "No such process"))
    with pytest.raises(FabricError, match="node-1: its routes cannot be read: No such process"):
        await routes_of.table(paths, spec, "node-1")


@pytest.mark.parametrize(
    ("route", "writer"),
    [
        (replace(BLOCK, proto=80), "felix"),
        (replace(BLOCK, proto=2), "kernel"),
        (replace(BLOCK, proto=42), "protocol 42"),
        (replace(DEFAULT, dev="flannel.1"), "flanneld"),
        (replace(DEFAULT, dev="vxlan.calico"), "felix"),
        (replace(DEFAULT, dev="cali123", via=None), "felix"),
        (replace(DEFAULT, dev="cali123"), "boot"),
        (replace(BLOCK, dev="flannel.1"), "bird"),
        (DEFAULT, "boot"),
    ],
)
def test_who_wrote_a_route_follows_from_its_protocol_and_else_its_device(route, writer):
    assert Line(route).written_by == writer


def offer(session, *ways, reason=""):
    found = frozenset(map(ip_address, ways))
    return Offer(session, "", ways[0] if ways else "", (), found, reason)


def test_what_nothing_tells_apart_went_into_one_route_or_lost_by_its_router_id():
    ways = tuple(NextHop(ip_address(f"192.168.0.{n}"), "eth0") for n in (2, 3))
    many = Route(BLOCK.dst, next_hops=ways, proto=12)
    offers = [offer("one", "192.168.0.2"), offer("two", "192.168.0.3"), offer("six", "192.168.0.6")]
    taken = routes_of._line(many, offers)
    assert [it.reason for it in taken.offers] == ["", "", EQUAL]
    assert [it.session for it in taken.taken] == ["one", "two"]
    single = routes_of._line(BLOCK, offers[:2])
    assert [it.reason for it in single.offers] == ["", EQUAL]
    worse = routes_of._line(BLOCK, [offers[0], offer("two", "192.168.0.3", reason="longer")])
    assert worse.offers[1].reason == "longer"
