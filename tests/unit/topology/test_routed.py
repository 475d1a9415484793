"""What every namespace of a graph holds, and what its BGP daemons are told."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from support.netstates import at_once
from support.wirings import IPV6, TWO_SITES, addressed, nodes

from fabric.bird.bgp import Bgp
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import Bridge, LinkUp, Qdisc, Route, Sysctl, Veth
from fabric.netstate.plan import diff
from fabric.topology import routed, routers
from fabric.topology.wires import wires
from fabric.topology.wiring import Wiring

KINDS = {
    "l2": {"kind": "l2"},
    "leaf-spine": {"kind": "leaf-spine", "uplinks": 2},
    "leaf-spine-ipv6": {"kind": "leaf-spine"} | IPV6,
    "two-sites": TWO_SITES,
    "fat-tree": {"kind": "graph", "generator": "fat-tree", "arguments": {"k": 4}},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_linux_takes_every_namespace_in_any_order_and_then_all_is_settled(options):
    wiring, given = addressed(options, nodes(2))
    states = routed.states(wiring, given)
    for names in (list(states), list(reversed(states))):
        kernel = FakeKernel(*states)
        for name in names * 2:
            role = wiring.device(name).role
            owner = routed.owner(role, next(iter(given.hosts.values())).version)
            host = kernel.host(name)
            ready = {obj for obj in at_once(host.read(owner)) if isinstance(obj, Veth)}
            if role == "host" and not ready and not any(isinstance(o, Veth) for o in host.state):
                continue
            at_once(host.apply(diff(states[name], at_once(host.read(owner)))))
        for name, desired in states.items():
            owner = routed.owner(wiring.device(name).role, next(iter(given.hosts.values())).version)
            assert str(diff(desired, at_once(kernel.host(name).read(owner)))) == ""


def test_a_leaf_bridges_its_rack_routes_over_two_spines_and_spreads_flows_by_port():
    wiring, given = addressed({"kind": "leaf-spine"}, nodes(4))
    state = routed.state(wiring, given, "leaf-1")
    assert {obj.name for obj in state if isinstance(obj, Veth) and obj.master} == {
        "control-plane",
        "node-1",
        "node-3",
    }
    assert Sysctl("net/ipv4/fib_multipath_hash_policy", "1") in state
    assert not [obj for obj in state if isinstance(obj, Route)]


def test_both_ends_of_a_pulled_cable_are_lowered_and_a_host_without_one_has_no_route():
    wiring, given = addressed({"kind": "leaf-spine"}, nodes(2))
    pulled = Wiring(
        wiring.devices,
        (replace(it, up=it.name not in ("leaf-1--spine-1", "leaf-1--node-1")) for it in wiring.links),
    )
    ends = (("leaf-1", "spine-1"), ("spine-1", "leaf-1"), ("leaf-1", "node-1"))
    for here, device in ends:
        (end,) = (it for it in routed.state(pulled, given, here) if getattr(it, "name", "") == device)
        assert isinstance(end, Veth) and not end.up
    gone = routed.state(wiring, given, "node-1") - routed.state(pulled, given, "node-1")
    assert {type(it) for it in gone} == {LinkUp, Route}
    assert routed.state(pulled, given, "node-2") == routed.state(wiring, given, "node-2")


def test_each_end_of_a_link_shapes_what_leaves_it():
    wiring, given = addressed(TWO_SITES, nodes(2))
    west, east = (routed.state(wiring, given, name) for name in ("west", "east"))
    netem = Qdisc("east", "netem", rate=100_000_000, delay_us=10_000)
    assert {obj for obj in west if isinstance(obj, Qdisc)} == {netem}
    assert {obj.dev for obj in east if isinstance(obj, Qdisc)} == {"west"}
    (queue,) = (obj for obj in routed.state(wiring, given, "node-2") if isinstance(obj, Qdisc))
    assert (queue.dev, queue.kind, queue.rate) == ("eth0", "tbf", 10**9)
    hall = routed.state(wiring, given, "hall")
    assert {(o.name, o.mtu) for o in hall if isinstance(o, Veth | Bridge)} == {
        ("br0", 1500),
        ("east", 9000),
        ("node-2", 1500),
        ("control-plane", 1500),
    }


def test_a_router_is_told_its_neighbours_and_what_to_announce():
    wiring, given = addressed({"kind": "leaf-spine"}, nodes(4))
    speakers = routed.speakers(wiring, given)
    leaf, spine = speakers["leaf-1"], speakers["spine-2"]
    assert (leaf.asn, leaf.router_id) == (65001, ip_address("172.17.0.1"))
    assert leaf.networks == (ip_network("192.168.1.0/24"), ip_network("172.17.0.1/32"))
    assert leaf.host_subnets == (ip_network("192.168.1.0/24"),)
    assert spine.networks == (ip_network("172.17.0.4/32"),)
    assert [
        (it.name, it.asn, str(it.address), str(it.local_address), it.device) for it in spine.neighbors
    ] == [
        ("leaf-1", 65001, "172.16.0.2", "172.16.0.3", "leaf-1"),
        ("leaf-2", 65002, "172.16.0.6", "172.16.0.7", "leaf-2"),
    ]


@pytest.mark.parametrize("options", list(KINDS.values())[1:], ids=list(KINDS)[1:])
def test_sessions_have_two_ends_that_know_each_other(options):
    speakers = routed.speakers(*addressed(options, nodes(2)))
    for speaker in speakers.values():
        for peer in speaker.neighbors:
            back = [it for it in speakers[peer.name].neighbors if it.address == peer.local_address]
            assert [(it.name, it.asn, it.local_address) for it in back] == [
                (speaker.name, speaker.asn, peer.address)
            ]


@pytest.mark.parametrize("options", list(KINDS.values())[1:], ids=list(KINDS)[1:])
def test_of_two_routers_one_dials_and_sessions_are_called_differently(options):
    wiring, given = addressed(options, nodes(2))
    ranges = wires(options, nodes(2), Path()).ranges
    dials: dict[frozenset[str], list[bool]] = {}
    for name, speaker in routed.speakers(wiring, given).items():
        assert len({it.session for it in speaker.neighbors}) == len(speaker.neighbors)
        blocks = routers.config(speaker, ranges, "internal").blocks
        for session in (it for it in blocks if isinstance(it, Bgp)):
            pair = frozenset((str(session.neighbor), str(session.options.local_address)))
            dials.setdefault(pair, []).append(not session.options.passive)
        assert name == speaker.name
    assert all(sorted(it) == [False, True] for it in dials.values())


def test_what_bird_writes_into_a_router_is_not_the_underlays():
    route = Route(ip_network("192.168.2.0/24"), ip_address("172.16.0.1"), "spine-1", proto=12)
    owner = routed.owner("router")
    assert Route not in owner.kinds
    assert not owner.owns(LinkUp("spine-1"))
    assert not routed.owner("host").owns(route)
