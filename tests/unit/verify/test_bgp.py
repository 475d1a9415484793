"""What is said of a BGP session, from what BIRD tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabric.bird.protocols import BgpSession, Protocol, Timer
from fabric.bird.reasons import Md5Drops
from fabric.verify import bgp

RESTARTING = BgpSession("Established", "192.168.0.12", 64512, 64512, is_neighbor_restarting=True)


@pytest.mark.parametrize(
    ("state", "timer", "reason"),
    [
        ("Established", None, "its routes are kept"),
        ("Established", Timer(90.0, 120.0), "its routes are kept for 90 s more"),
        ("Idle", Timer(90.0, 120.0), "Idle; its routes are kept for 90 s more"),
    ],
)
def test_of_a_peer_that_restarts_it_is_said_that_its_routes_are_kept(state, timer, reason):
    session = replace(RESTARTING, state=state, restart_timer=timer)
    protocol = Protocol("Node_192_168_0_12", "BGP", "---", "up", "", bgp=session)
    assert bgp._reason(protocol, session, Md5Drops()) == reason
