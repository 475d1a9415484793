from dataclasses import replace

import pytest
from support.bird_transcripts import answer

from fabric.bird.protocols import Protocol, read_protocols
from fabric.bird.reasons import Md5Drops, md5_drops, reason

UP = {p.name[-1]: p for p in read_protocols(answer("established", "show protocols all"))}
DOWN = {p.name[-1]: p for p in read_protocols(answer("down", 'show protocols all "Mesh_*"'))}
NETSTAT = "TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure\nTcpExt: 0 3 2 10\nIpExt: A\n"


@pytest.mark.parametrize(
    ("protocol", "why"),
    [
        (UP["2"], ""),
        (UP["9"], "no answer from 192.168.0.9 yet"),
        (DOWN["2"], "BGP Error: Bad peer AS"),
        (DOWN["4"], "disabled"),
    ],
)
def test_a_session_that_is_down_has_a_reason(protocol: Protocol, why: str):
    assert reason(protocol) == why


def test_the_kernels_counters_are_read_by_name():
    assert md5_drops(NETSTAT) == Md5Drops(wrong=10, missing=3, unexpected=2)
    assert md5_drops("") == Md5Drops()


def test_the_password_is_blamed_where_bird_has_seen_nothing():
    assert reason(UP["9"], Md5Drops(wrong=4)).startswith("wrong password: 4 segments")
    assert reason(UP["9"], Md5Drops(missing=4)).startswith("password only here")
    assert reason(UP["9"], Md5Drops(unexpected=4)).startswith("password only there")


def test_the_password_is_not_blamed_for_another_sessions_error():
    assert reason(DOWN["2"], Md5Drops(wrong=4)) == "BGP Error: Bad peer AS"
    idle = replace(UP["9"], bgp=replace(UP["9"].bgp, state="Idle"))
    assert reason(idle, Md5Drops(wrong=4)) == "Idle"
