"""The recorded answers of a real daemon, read."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from support.bird_transcripts import answer

from fabric.bird.control import Answer, BadAnswer, Line
from fabric.bird.protocols import Updates, read_protocols
from fabric.bird.routes import NextHop, read_routes
from fabric.bird.status import moment, read_memory, read_status

ROUTES = read_routes(answer("established", "show route all"))
PROTOCOLS = {p.name: p for p in read_protocols(answer("established", "show protocols all"))}
DOWN = {p.name[-1]: p for p in read_protocols(answer("down", 'show protocols all "Mesh_*"'))}


def route(prefix: str):
    (only,) = [route for route in ROUTES if route.prefix == ip_network(prefix)]
    return only


def test_the_status_of_a_daemon():
    status = read_status(answer("established", "show status"))
    assert (status.version, str(status.router_id), status.hostname) == ("2.0.12", "192.168.0.1", "node-1")
    assert status.is_running and not status.is_recovering
    assert timedelta(0) < status.now - status.booted < timedelta(seconds=30)
    assert status.configured == status.booted


def test_a_daemon_that_recovers_says_so():
    lines = answer("established", "show status").lines[:-1]
    recovering = (
        Line(24, "Graceful restart recovery in progress"),
        Line(24, "Waiting for 1 channels to recover"),
    )
    status = read_status(Answer((*lines, *recovering, Line(13, "Daemon is up and running"))))
    assert status.is_recovering


def test_a_status_without_its_words_is_no_status():
    with pytest.raises(BadAnswer):
        read_status(Answer((Line(13, "Daemon is up and running"),)))


def test_memory_is_in_bytes():
    use = read_memory(answer("established", "show memory"))
    assert list(use) == [
        "Routing tables",
        "Route attributes",
        "Protocols",
        "Current config",
        "Standby memory",
        "Total",
    ]
    assert 50_000 < use["Total"].effective < 500_000
    assert use["Standby memory"].overhead % 1024 == 0


def test_short_and_long_answers_name_the_same_protocols_in_the_same_states():
    short = read_protocols(answer("established", "show protocols"))
    assert [(p.name, p.proto, p.state, p.since, p.info) for p in short] == [
        (p.name, p.proto, p.state, p.since, p.info) for p in PROTOCOLS.values()
    ]
    assert all(not p.channels and p.bgp is None for p in short)


def test_a_protocol_of_each_kind():
    assert [(p.name, p.proto, p.table, p.state) for p in PROTOCOLS.values()] == [
        ("device1", "Device", "", "up"),
        ("direct1", "Direct", "", "up"),
        ("kernel1", "Kernel", "master4", "up"),
        ("static1", "Static", "master4", "up"),
        ("services", "Static", "master4", "up"),
        ("Mesh_192_168_0_2", "BGP", "", "up"),
        ("Mesh_192_168_0_3", "BGP", "", "up"),
        ("Mesh_192_168_0_9", "BGP", "", "start"),
    ]


def test_an_established_session():
    session = PROTOCOLS["Mesh_192_168_0_3"].bgp
    assert session.is_established
    assert (session.neighbor_address, session.neighbor_as, session.local_as) == ("192.168.0.3", 64512, 64512)
    assert session.neighbor_id == session.neighbor_id.__class__("192.168.0.3")
    assert session.source_address == ip_address("192.168.0.1")
    assert session.kind == ("internal", "route-reflector", "AS4")
    assert session.hold_timer.of_seconds == 240 and 0 < session.hold_timer.left_seconds <= 240
    assert session.keepalive_timer.of_seconds == 80
    assert session.last_error == ""
    assert PROTOCOLS["Mesh_192_168_0_2"].bgp.kind == ("external", "AS4")


def test_the_channel_of_a_session_counts_routes_and_updates():
    (channel,) = PROTOCOLS["Mesh_192_168_0_2"].channels
    assert (channel.name, channel.state, channel.table, channel.preference) == ("ipv4", "UP", "master4", 100)
    assert (channel.imported, channel.exported, channel.preferred) == (1, 6, 1)
    assert (channel.input_filter, channel.output_filter) == ("ACCEPT", "(unnamed)")
    assert channel.import_withdraws == Updates(0, 0, None, 0, 0)
    assert channel.next_hop == ip_address("192.168.0.1")


def test_a_session_that_waits_has_no_numbers_yet():
    nine = PROTOCOLS["Mesh_192_168_0_9"]
    assert (nine.info, nine.bgp.state, nine.channels[0].state) == ("Connect", "Connect", "DOWN")
    assert nine.channels[0].imported == 0
    assert nine.bgp.neighbor_id is None and nine.bgp.hold_timer is None


def test_a_wrong_as_is_named():
    assert DOWN["2"].bgp.last_error == "BGP Error: Bad peer AS"
    assert DOWN["2"].info.endswith("BGP Error: Bad peer AS")


def test_a_peer_that_restarts_keeps_its_routes():
    session = DOWN["3"].bgp
    assert session.is_neighbor_restarting
    assert 100 < session.restart_timer.left_seconds <= 120
    assert DOWN["3"].channels[0].imported == 1


def test_a_disabled_protocol_is_down():
    assert (DOWN["4"].state, DOWN["4"].info, DOWN["4"].bgp.state) == ("down", "", "Down")


def test_uptime_is_by_the_daemons_clock():
    now = read_status(answer("established", "show status")).now
    assert 0 < PROTOCOLS["Mesh_192_168_0_2"].uptime_seconds(now) < 30


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-23 06:29:02.995", datetime(2026, 11, 23, 6, 29, 2, 995000)),
        ("06:29:02.995", datetime(2026, 11, 23, 6, 29, 2, 995000)),
        ("23:59:59", datetime(2026, 11, 22, 23, 59, 59)),
        ("2026-11-21", datetime(2026, 11, 21)),
        ("06:29:02.123456", datetime(2026, 11, 23, 6, 29, 2, 123456)),
    ],
)
def test_a_short_time_is_the_youngest_before_now(text: str, meant: datetime):
    assert moment(text, datetime(2026, 11, 23, 7, 0)) == meant


def test_a_row_that_is_no_protocol_is_refused():
    with pytest.raises(BadAnswer):
        read_protocols(Answer((Line(1002, "device1 Device"), Line(0, ""))))


def test_a_route_from_bgp():
    one = route("10.244.2.0/26")
    assert (one.kind, one.protocol, one.table, one.is_best) == (
        "unicast",
        "Mesh_192_168_0_2",
        "master4",
        True,
    )
    assert one.next_hops == (NextHop("eth0", ip_address("192.168.0.2")),)
    assert (one.preference, one.origin_as, one.as_path) == (100, 64513, (64513,))
    assert one.communities == ((65000, 1),)
    assert one.large_communities == ((65000, 1, 2),)
    assert one.bgp_next_hop == ip_address("192.168.0.2")
    assert one.local_preference == 100


def test_a_route_of_the_same_as_has_no_path():
    one = route("10.244.3.0/26")
    assert one.as_path == () and one.origin_as is None and one.type == "BGP univ"


def test_routes_to_nowhere_have_no_next_hop():
    kinds = {str(r.prefix): r.kind for r in ROUTES if not r.next_hops}
    assert kinds == {
        "10.244.1.0/26": "blackhole",
        "10.96.0.0/16": "unreachable",
        "10.97.0.0/16": "prohibited",
    }


def test_next_hops_have_weights_and_may_be_onlink():
    assert route("10.98.0.0/16").next_hops == (
        NextHop("eth0", ip_address("192.168.0.2"), weight=2),
        NextHop("eth0", ip_address("192.168.0.3"), weight=1),
    )
    assert route("10.99.0.0/16").next_hops == (NextHop("eth0", ip_address("192.168.0.3"), onlink=True),)
    assert route("192.168.0.0/24").next_hops == (NextHop("eth0"),)


def test_what_strangers_wrote_into_the_kernel_is_learned():
    one = route("10.100.0.0/24")
    assert (one.protocol, one.type, one.attribute("Kernel.source")) == ("kernel1", "inherit univ", "3")


def test_short_and_long_answers_have_the_same_routes():
    short = read_routes(answer("established", "show route"))
    assert [(r.prefix, r.protocol, r.next_hops, r.is_best) for r in short] == [
        (r.prefix, r.protocol, r.next_hops, r.is_best) for r in ROUTES
    ]


def test_a_row_without_a_prefix_is_one_more_route_to_the_one_above():
    rows = (
        "Table master4:",
        "10.244.9.0/26        unicast [Mesh_2 06:29:03.038 from 192.168.0.9] * (100/?) [AS64513i]",
        "\tvia 192.168.0.2 on eth0",
        "                     unreachable [Mesh_3 2026-11-21] (100/20) [i]",
    )
    first, second = read_routes(Answer(tuple(Line(1007, row) for row in rows)))
    assert first.prefix == second.prefix == ip_network("10.244.9.0/26")
    assert (first.is_best, first.metric, first.learned_from) == (True, "?", ip_address("192.168.0.9"))
    assert (second.is_best, second.metric, second.since) == (False, "20", "2026-11-21")


def test_ipv6_routes_read_the_same():
    rows = ("fd00:1::/64          unicast [Mesh_2 06:29:03.038] * (100) [AS64513i]", "\tvia fe80::1 on eth0")
    (one,) = read_routes(Answer(tuple(Line(1007, row) for row in rows)))
    assert (one.prefix, one.next_hops) == (
        ip_network("fd00:1::/64"),
        (NextHop("eth0", ip_address("fe80::1")),),
    )


@pytest.mark.parametrize(
    "row", ["10.244.9.0/26 nonsense", "\tvia 192.168.0.2 on eth0", "   unicast [Mesh_2 06:29:03]"]
)
def test_a_row_that_is_no_route_is_refused(row: str):
    with pytest.raises(BadAnswer):
        read_routes(Answer((Line(1007, row),)))
