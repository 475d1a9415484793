"""The flows that a plan removes: of hosts whose route goes, and of UDP rules of nat that come and go."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from fabric.netstate.flows import flows_of
from fabric.netstate.objects import Chain, Route
from fabric.netstate.plan import Plan, diff

POD = Route(ip_network("10.244.1.5/32"), dev="cali1", scope="link")
UDP = "-p udp -m udp --dport 53"


def chain(*rules: str, table: str = "nat", family: int = 4) -> Chain:
    return Chain.parse(table, "A", rules, family)


def flows(desired, actual=()) -> list[str]:
    return [str(flow) for flow in diff(frozenset(desired), frozenset(actual)).flows]


def test_a_hosts_route_that_goes_takes_its_flows_along():
    assert flows([], [POD]) == ["flows of 10.244.1.5"]
    assert flows([], [Route(ip_network("fd00::5/128"), dev="cali1")]) == ["flows of fd00::5"]


@pytest.mark.parametrize(
    "route",
    [
        Route(ip_network("10.244.1.0/24"), dev="cni0"),
        Route(ip_network("10.244.1.5/32"), via=ip_address("192.168.0.12"), dev="eth0"),
        Route(ip_network("10.244.1.5/32"), type="blackhole"),
    ],
)
def test_another_route_takes_none(route):
    assert flows([], [route]) == []


def test_a_hosts_route_that_comes_or_moves_takes_none():
    moved = Route(POD.dst, dev="cali2", scope="link")
    assert flows([POD]) == flows([moved], [POD]) == []


@pytest.mark.parametrize(
    ("rule", "flow"),
    [
        (f"{UDP} -j DNAT --to-destination 10.244.1.5:53", "flows udp to any port 53 (IPv4)"),
        (f"-d 10.96.0.10/32 {UDP} -j KUBE-SVC-A", "flows udp to 10.96.0.10 port 53 (IPv4)"),
        (f"-d 10.96.0.0/16 {UDP} -j KUBE-SVC-A", "flows udp to any port 53 (IPv4)"),
        ("-p udp -m udp --dport 50:60 -j A-1", "flows udp to any port 50-60 (IPv4)"),
    ],
)
def test_a_udp_rule_of_nat_that_comes_removes_what_was_sent_another_way(rule, flow):
    assert flows([chain(rule)]) == [flow]
    assert flows([chain("-j RETURN", rule)], [chain("-j RETURN")]) == [flow]


def test_several_ports_are_several_flows():
    found = flows([chain("-p udp -m multiport --dports 53,60:70 -j A-1", family=6)])
    assert found == ["flows udp to any port 53 (IPv6)", "flows udp to any port 60-70 (IPv6)"]


def test_a_udp_rule_that_goes_removes_what_it_sent():
    gone = chain(f"{UDP} -j DNAT --to-destination 10.244.1.5:5353")
    assert flows([], [gone]) == ["flows udp answered by 10.244.1.5 port 5353"]
    without_port = chain("-p udp -m udp -j DNAT --to-destination [fd00::5]:53", family=6)
    assert flows([], [without_port]) == ["flows udp answered by fd00::5 port 53"]


@pytest.mark.parametrize(
    "rule",
    [
        "-p tcp -m tcp --dport 53 -j DNAT --to-destination 10.244.1.5:53",
        "! -p udp -m udp --dport 53 -j A-1",
        f"{UDP} -j RETURN",
        "-p udp -m udp ! --dport 53 -j A-1",
        "-s 10.244.0.0/16 -j MASQUERADE",
    ],
)
def test_a_rule_that_sends_no_udp_elsewhere_removes_nothing(rule):
    assert flows([chain(rule)]) == flows([], [chain(rule)]) == []


def test_rules_outside_nat_and_rules_that_stay_remove_nothing():
    rule = f"{UDP} -j DNAT --to-destination 10.244.1.5:53"
    assert flows([chain(rule, table="filter")]) == []
    assert flows([chain(rule, "-j RETURN")], [chain(rule)]) == []


def test_a_plan_tells_its_flows_after_its_steps_and_may_have_nothing_else():
    assert str(diff(frozenset(), frozenset({POD}))) == (
        "delete route 10.244.1.5/32 dev cali1 scope link\ndelete flows of 10.244.1.5\n"
    )
    assert Plan(flows=(flows_of(ip_address("10.244.1.5")),)) and not Plan()
