"""Equal paths of several neighbours become one kernel route with many next hops: what a leaf does."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from support.bird_lab import BirdLab, address, bird_lab, node_config, peer
from support.eventually import eventually

from fabric.bird.config import Channel, Kernel, Static, StaticRoute
from fabric.bird.daemon import until_up

pytestmark = pytest.mark.netns

RACK = ip_network("10.250.0.0/24")
NUMBERS = {"node-1": 65001, "node-2": 65002, "node-3": 65003}
MERGING = Kernel(merge_paths=True, channel=Channel(export="where source = RTS_BGP"))


def spine(me: str):
    session = peer(me, "node-1", NUMBERS[me], NUMBERS["node-1"], "passive")
    return node_config(me, session, Static("rack", (StaticRoute(RACK),)))


def next_hops(lab: BirdLab) -> set[str]:
    """The gateways of the rack's route in node-1's kernel."""
    words = lab.run("node-1", f"ip route show {RACK}").split()
    return {words[at + 1] for at, word in enumerate(words) if word == "via"}


async def test_two_equal_paths_are_one_route_and_the_death_of_one_leaves_the_other():
    with bird_lab(*NUMBERS) as lab:
        uplinks = [peer("node-1", spine, NUMBERS["node-1"], NUMBERS[spine]) for spine in ("node-2", "node-3")]
        lab.start("node-1", node_config("node-1", *uplinks, kernel=MERGING))
        for name in ("node-2", "node-3"):
            lab.start(name, spine(name))
        client = lab.daemon("node-1").client("node-1")
        await until_up(client)
        await eventually(lambda: next_hops(lab) == {address("node-2"), address("node-3")})
        paths = await client.routes(to=RACK, details=True)
        assert sorted(path.as_path for path in paths) == [(65002,), (65003,)]
        assert [path.is_best for path in paths] == [True, False]
        longest = await client.routes(to=ip_address("10.250.0.7"), best_only=True)
        assert [path.prefix for path in longest] == [RACK]

        lab.kill("node-2")
        await eventually(lambda: next_hops(lab) == {address("node-3")})
