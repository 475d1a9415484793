"""Which of a host's routes a packet takes, and why BIRD took the one it took."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from fabric.bird.routes import BirdRoute
from fabric.cli import routes_command
from fabric.cli.output import Format
from fabric.netstate.objects import NextHop, Route
from fabric.verify.bird_choice import why_lost
from fabric.verify.routes import Line, Offer, Table

BEST = BirdRoute(
    prefix=ip_network("10.244.2.0/26"),
    kind="unicast",
    protocol="Node_192_168_0_11",
    since="",
    is_best=True,
    preference=100,
    metric="10",
    type="BGP univ",
    attributes=(
        ("BGP.origin", "IGP"),
        ("BGP.as_path", "65001"),
        ("BGP.next_hop", "192.168.0.12"),
        ("BGP.local_pref", "100"),
        ("BGP.med", "5"),
    ),
)


def other(**attributes: str) -> BirdRoute:
    """The same from another peer, but for these attributes of BGP."""
    named = dict(BEST.attributes) | {f"BGP.{key}": value for key, value in attributes.items()}
    return replace(BEST, protocol="Node_192_168_0_19", is_best=False, attributes=tuple(named.items()))


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        (replace(other(), preference=10), "preference 10, Node_192_168_0_11 has 100"),
        (replace(other(), kind="unreachable"), "next hop 192.168.0.12 cannot be reached"),
        (other(local_pref="50"), "local preference 50 is lower than 100"),
        (other(as_path="65001 65002"), "AS path of 2 is longer than 1"),
        (other(origin="Incomplete"), "origin Incomplete comes after IGP"),
        (other(med="7"), "MED 7 is higher than 5"),
        (replace(other(), metric="20"), "cost 20 to its next hop is higher than 10"),
        (other(), "the same way as Node_192_168_0_11"),
        (other(next_hop="192.168.0.13"), ""),
        (other(as_path="65009", med="7", next_hop="192.168.0.13"), ""),
    ],
)
def test_the_first_difference_in_birds_order_is_the_reason(route: BirdRoute, reason: str):
    assert why_lost(BEST, route, False, False) == reason


def test_what_came_from_outside_the_as_comes_before_what_came_from_inside():
    assert why_lost(BEST, other(), True, False) == "internal, Node_192_168_0_11 is external"


def test_the_longer_prefix_wins_and_then_the_lower_metric():
    whole = Route(ip_network("10.244.0.0/16"), via=ip_address("192.168.0.1"), dev="eth0")
    block = Route(ip_network("10.244.2.0/26"), via=ip_address("192.168.0.12"), dev="eth0", metric=32)
    felix = replace(block, metric=0, proto=80)
    six = Route(ip_network("fd00::/8"), via=ip_address("fd00::1"), dev="eth0")
    table = Table(tuple(Line(route) for route in (six, block, whole, felix)), frozenset())
    won = [line.route for line in table.matching(ip_address("10.244.2.5"))]
    assert won == [felix, block, whole]
    assert not table.matching(ip_address("192.0.2.1"))
    assert [line.route for line in table.inside(ip_network("10.244.0.0/16"))] == [block, whole, felix]


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("192.168.0.11", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("192.168.0.12", False),
        ("128.0.0.1", False),
    ],
)
def test_packets_to_own_addresses_and_to_loopback_stay_whatever_the_routes_say(address, own, capsys):
    routes = (Route(ip_network("0.0.0.0/0"), via=ip_address("192.168.0.1"), dev="eth0"),)
    table = Table(tuple(map(Line, routes)), frozenset({ip_address("192.168.0.11")}))
    assert table.is_own(ip_address(address)) is own
    routes_command._explain("node-1", ip_address(address), table, Format.table)
    stays = f"{address} is node-1's own address: packets to it stay there"
    assert (stays in capsys.readouterr().out) is own


def test_every_way_of_a_route_is_a_next_hop():
    ways = (NextHop(ip_address("172.16.0.1"), "spine-1"), NextHop(ip_address("172.16.0.3"), "spine-2"))
    many = Line(Route(ip_network("10.244.2.0/26"), next_hops=ways, proto=12))
    one = Line(Route(ip_network("10.244.2.0/26"), via=ip_address("172.16.0.1"), dev="spine-1", proto=12))
    none = Line(Route(ip_network("10.244.2.0/26"), type="blackhole", proto=99))
    assert many.next_hops == ways and one.next_hops == ways[:1] and none.next_hops == ()
    assert (many.written_by, none.written_by) == ("bird", "protocol 99")


@pytest.mark.parametrize(
    ("session", "peer", "who"),
    [
        ("static1", "", "static1"),
        ("Mesh_192_168_0_12", "node-2", "Mesh_192_168_0_12 (node-2)"),
        ("spine-1", "spine-1", "spine-1"),
    ],
)
def test_a_session_that_is_called_as_its_peer_is_named_once(session, peer, who):
    assert Offer(session, peer, "", (), frozenset()).who == who
