"""Masquerading: what each rule of FLANNEL-POSTRTG does to a packet, first match first."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest

from fabric.netstate.objects import Chain, Jump
from flannel import traffic

STATE = traffic.desired_state([ip_network("10.244.0.0/16")], [ip_network("10.244.1.0/24")])
CHAINS = {obj.name: obj for obj in STATE if isinstance(obj, Chain)}


def verdict(src, dst, mark=0):
    """What becomes of a packet, judged by the text of the rules."""
    for rule in map(str, CHAINS["FLANNEL-POSTRTG"].rules):
        wanted = [
            (bool(no), side, ip_network(net)) for no, side, net in re.findall(r"(! )?-(s|d) (\S+)", rule)
        ]
        marked = "--mark 0x4000/0x4000" not in rule or mark & 0x4000
        sides = {"s": ip_address(src), "d": ip_address(dst)}
        if marked and all((sides[side] in net) != no for no, side, net in wanted):
            return re.search(r"-j (\S+)", rule)[1]
    return "RETURN"


@pytest.mark.parametrize(
    ("src", "dst", "mark", "becomes"),
    [
        ("10.244.1.2", "10.244.2.2", 0, "RETURN"),
        ("10.244.2.2", "10.244.1.2", 0, "RETURN"),
        ("10.244.1.2", "10.244.1.3", 0, "RETURN"),
        ("10.244.1.0", "10.244.2.2", 0, "RETURN"),
        ("192.168.0.11", "10.244.1.2", 0, "RETURN"),
        ("8.8.8.8", "10.244.1.2", 0, "RETURN"),
        ("10.244.1.2", "192.168.0.12", 0, "MASQUERADE"),
        ("10.244.1.2", "8.8.8.8", 0, "MASQUERADE"),
        ("10.244.1.2", "224.0.0.5", 0, "RETURN"),
        ("192.168.0.11", "10.244.2.2", 0, "MASQUERADE"),
        ("10.244.1.2", "8.8.8.8", 0x4000, "RETURN"),
        ("192.168.0.11", "192.168.0.12", 0, "RETURN"),
    ],
)
def test_only_what_crosses_the_edge_of_the_pod_network_is_masqueraded(src, dst, mark, becomes):
    assert verdict(src, dst, mark) == becomes


def test_jumps_are_appended_and_carry_flannels_comments():
    jumps = {(obj.table, obj.chain, str(obj.rule), obj.position) for obj in STATE if isinstance(obj, Jump)}
    assert jumps == {
        ("nat", "POSTROUTING", '-m comment --comment "flanneld masq" -j FLANNEL-POSTRTG', "append"),
        ("filter", "FORWARD", '-m comment --comment "flanneld forward" -j FLANNEL-FWD', "append"),
    }


def test_each_family_has_its_own_tables():
    networks = [ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")]
    subnets = [ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64")]
    state = traffic.desired_state(networks, subnets)
    assert sorted((obj.family, obj.name, len(obj.rules)) for obj in state if isinstance(obj, Chain)) == [
        (4, "FLANNEL-FWD", 2),
        (4, "FLANNEL-POSTRTG", 6),
        (6, "FLANNEL-FWD", 2),
        (6, "FLANNEL-POSTRTG", 6),
    ]
    assert not any(
        "224." in str(rule)
        for obj in state
        if isinstance(obj, Chain) and obj.family == 6
        for rule in obj.rules
    )
