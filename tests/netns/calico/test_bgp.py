"""Real birds, configured as confd configures them: sessions come and go, and with them routes in kernels."""

from __future__ import annotations

import pytest
from support.bird_time import same_moment
from support.calico_bgp import configuration, mesh, peer, reflected
from support.calico_bgp_lab import BgpLab, bare, have, is_established
from support.eventually import eventually

pytestmark = pytest.mark.netns

TO_NODE_2 = "Mesh_192_168_0_12"


async def up_since(lab: BgpLab, name: str) -> dict[str, str]:
    """Since when each session is up."""
    return {session: it.since for session, it in (await lab.sessions(name)).items() if it.is_up}


async def test_in_a_mesh_every_node_has_the_block_of_every_other(four: BgpLab):
    four.show(mesh(4))
    await have(four, 1, 2, 3, 4)
    await four.established("node-1", "node-2", "node-3", "node-4", count=3)


async def test_a_node_that_joins_costs_nobody_a_session_and_one_that_leaves_is_forgotten(four: BgpLab):
    four.show(mesh(3))
    await have(four, 1, 2, 3)
    before = await up_since(four, "node-1")
    four.show(mesh(4))
    await have(four, 1, 2, 3, 4)
    assert (await up_since(four, "node-1")).items() >= before.items()
    four.show(mesh(3))
    await have(four, 1, 2, 3)


async def test_a_new_keeper_costs_nobody_a_session(two: BgpLab):
    two.show(mesh(2))
    await have(two, 1, 2)
    before = await up_since(two, "node-1")
    two.new_keeper("node-1")
    two.show(mesh(2, configuration(logSeverityScreen="Warning")))
    await eventually(lambda: two.keepers["node-1"].is_up)
    assert "log stderr { warning" in two.config("node-1")
    after = await up_since(two, "node-1")
    assert after.keys() == before.keys() and all(same_moment(after[it], before[it]) for it in before)


async def test_from_a_mesh_to_reflectors_without_losing_a_route(five: BgpLab):
    """First the reflectors and who peers with them, and the mesh is switched off when they are up."""
    numbers = (1, 2, 3, 4, 5)
    five.show(reflected(configuration(nodeToNodeMeshEnabled=True)))
    await five.established("node-1", "node-2", count=4)
    await have(five, *numbers)
    lost: list[int] = []

    async def mesh_is_off() -> bool:
        lost.extend(number for number in numbers if len(five.routes(f"node-{number}")) < 5)
        return len(await five.sessions("node-3")) == 2

    assert len(await five.sessions("node-3")) == 4
    five.show(reflected())
    await eventually(mesh_is_off)
    assert not lost
    await have(five, *numbers)


async def test_one_of_two_reflectors_dies_and_no_route_goes(five: BgpLab):
    numbers = (1, 2, 3, 4, 5)
    five.show(reflected())
    await five.established("node-1", "node-2", count=4)
    await have(five, *numbers)
    lost: list[int] = []

    async def is_noticed() -> bool:
        lost.extend(number for number in numbers if len(five.routes(f"node-{number}")) < 5)
        return not is_established((await five.sessions("node-3"))["Node_192_168_0_11"])

    await five.kill_bird("node-1", for_good=True)
    await eventually(is_noticed)
    await have(five, *numbers)
    assert not lost


async def test_a_bird_that_is_killed_comes_back_without_losing_a_route_anywhere(two: BgpLab):
    two.show(mesh(2))
    await have(two, 1, 2)
    before = await up_since(two, "node-1")
    lost: list[int] = []

    async def is_back() -> bool:
        lost.extend(number for number in (1, 2) if len(two.routes(f"node-{number}")) < 2)
        now = await up_since(two, "node-1")
        return TO_NODE_2 in now and now != before

    await two.kill_bird("node-2")
    await eventually(is_back)
    await have(two, 1, 2)
    assert not lost


async def test_without_graceful_restart_a_killed_bird_s_routes_go_at_once(two: BgpLab):
    two.show(mesh(2, configuration(nodeMeshMaxRestartTime="0s")))
    await have(two, 1, 2)
    await two.kill_bird("node-2", for_good=True)
    await eventually(lambda: two.routes("node-1") == bare(1), seconds_max=0.5)


async def test_a_peer_that_falls_silent_is_given_up_after_three_keepalives(two: BgpLab):
    two.show(mesh(2, peer("all", peerSelector="all()", keepaliveTime="1s")))
    await have(two, 1, 2)
    two.shell("switch", "ip link set port2 down")
    await eventually(lambda: two.routes("node-1") == bare(1))
