"""Felix's state of a node reads like the shell, mode by mode; and it is the same however one got there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calico_nodes import block, node, pool, site, snapshot

from calico.felix import ownership
from calico.felix.node_state import NodeState
from calico.felix.tunnels import mac_of
from calico.places import Place
from calico.resources.felix import DEFAULTS
from fabric.netstate.objects import Chain, FdbEntry, IpSet, Jump, Route, Tun
from fabric.netstate.plan import diff

FAR = 2
"""node-3's rack; node-1 and node-2 are in rack 1."""


def racks():
    """Two nodes in one rack, one in another."""
    return [node(1, rack=1), node(2, rack=1), node(3, rack=FAR)]


def wanted(nodes, pools, blocks=None, felix=DEFAULTS, **place):
    here = replace(site(nodes[0], pools, **place), felix=felix)
    return NodeState(here).desired_state(snapshot(nodes, pools, blocks))


WRITES_IPIP = replace(DEFAULTS, program_cluster_routes="Enabled")
"""As Calico 3.33 does by default."""


def lines(state):
    """The plan for an empty namespace, without rules and sets."""
    state = frozenset(it for it in state if not _is_rule(it))
    return str(diff(state, frozenset())).splitlines()


def _is_rule(obj):
    return isinstance(obj, Chain | Jump | IpSet)


def test_felix_makes_tunl0_and_bird_writes_the_routes_of_ipip():
    assert lines(wanted(racks(), [pool(ipip_mode="Always")])) == [
        "add link tunl0 type ipip local any remote any mtu 1480 up",
        "add address 10.244.1.0/32 dev tunl0",
    ]


def test_felix_writes_the_routes_of_ipip_where_it_is_told_to():
    assert lines(wanted(racks(), [pool(ipip_mode="Always")], felix=WRITES_IPIP))[2:] == [
        "add route blackhole 10.244.1.0/26 proto 80",
        "add route 10.244.2.0/26 via 192.168.1.12 dev tunl0 proto 80 onlink",
        "add route 10.244.3.0/26 via 192.168.2.13 dev tunl0 proto 80 onlink",
    ]


def test_ipip_between_subnets_spares_the_tunnel_inside_the_rack():
    assert lines(wanted(racks(), [pool(ipip_mode="CrossSubnet")], felix=WRITES_IPIP))[-2:] == [
        "add route 10.244.2.0/26 via 192.168.1.12 dev eth0 proto 80 onlink",
        "add route 10.244.3.0/26 via 192.168.2.13 dev tunl0 proto 80 onlink",
    ]


@pytest.mark.parametrize(("given", "vxlan", "others"), [(3, 3, 80), (90, 90, 90), (80, 80, 80)])
def test_the_protocol_that_is_given_is_that_of_all_routes(given, vxlan, others):
    felix = replace(DEFAULTS, device_route_protocol=given)
    found = wanted(racks(), [pool(vxlan_mode="CrossSubnet")], felix=felix)
    protocols = {(it.dev or it.type): it.proto for it in found if isinstance(it, Route)}
    assert protocols == {"vxlan.calico": vxlan, "eth0": others, "blackhole": others}


@pytest.mark.parametrize("mode", [{"vxlan_mode": "Always"}, {"ipip_mode": "Always"}])
def test_a_tunnel_that_felix_is_told_not_to_have_is_not_made(mode):
    felix = replace(DEFAULTS, ipip_enabled=False, vxlan_enabled=False)
    assert lines(wanted(racks(), [pool(**mode)], felix=felix)) in (
        [],
        ["add route blackhole 10.244.1.0/26 proto 80"],
    )


def test_the_nodes_own_packets_may_have_a_source_that_is_given():
    felix = replace(DEFAULTS, device_route_source_address=ip_address("192.168.1.11"))
    found = wanted(racks(), [pool(vxlan_mode="Always")], felix=felix)
    assert {str(it.src) for it in found if isinstance(it, Route) and it.dev == "vxlan.calico"} == {
        "192.168.1.11"
    }


def test_a_route_over_vxlan_of_boot_is_felixs_and_one_of_the_kernels_or_of_birds_is_not():
    owner = ownership.owner()
    dst = ip_network("10.99.0.0/16")
    found = {proto: owner.owns(Route(dst, dev="vxlan.calico", proto=proto)) for proto in (2, 3, 12, 80)}
    assert found == {2: False, 3: True, 12: False, 80: True}
    assert not owner.owns(Route(dst, dev="eth0", proto=3)) and owner.owns(Route(dst, dev="eth0", proto=80))


def test_vxlan_always_has_a_neighbour_an_fdb_entry_and_a_route_for_each_peer():
    mac_1, mac_2, mac_3 = (mac_of(f"node-{number}") for number in (1, 2, 3))
    assert lines(wanted(racks(), [pool(vxlan_mode="Always")])) == [
        "add link vxlan.calico type vxlan id 4096 local 192.168.1.11 dev eth0 dstport 4789 nolearning "
        f"mtu 1450 address {mac_1} up",
        "add address 10.244.1.0/32 dev vxlan.calico",
        f"add neigh 10.244.2.0 lladdr {mac_2} dev vxlan.calico",
        f"add neigh 10.244.3.0 lladdr {mac_3} dev vxlan.calico",
        *sorted(
            f"add fdb {mac} dst {ip} dev vxlan.calico"
            for mac, ip in ((mac_2, "192.168.1.12"), (mac_3, "192.168.2.13"))
        ),
        "add route blackhole 10.244.1.0/26 proto 80",
        "add route 10.244.2.0/26 via 10.244.2.0 dev vxlan.calico onlink",
        "add route 10.244.3.0/26 via 10.244.3.0 dev vxlan.calico onlink",
    ]


def test_a_vteps_mac_is_66_and_five_bytes_of_the_names_sha1():
    assert mac_of("node-1") == "66:" + hashlib.sha1(b"node-1").digest()[:5].hex(":")
    assert len({mac_of(f"node-{number}") for number in range(100)}) == 100


def test_vxlan_between_subnets_spares_the_encapsulation_inside_the_rack():
    assert lines(wanted(racks(), [pool(vxlan_mode="CrossSubnet")]))[-2:] == [
        "add route 10.244.2.0/26 via 192.168.1.12 dev eth0 proto 80 onlink",
        "add route 10.244.3.0/26 via 10.244.3.0 dev vxlan.calico onlink",
    ]


def test_blocks_of_a_pool_without_encapsulation_are_left_to_bird():
    assert lines(wanted(racks(), [pool()])) == []


def test_without_a_driver_tunl0_is_a_tun_device_with_the_same_routes():
    pools = [pool(ipip_mode="Always")]
    by_driver, by_carrier = wanted(racks(), pools), wanted(racks(), pools, has_ipip=False)
    assert {it for it in by_carrier if isinstance(it, Route)} == {
        it for it in by_driver if isinstance(it, Route)
    }
    assert Tun("tunl0", mtu=1480) in by_carrier


def test_a_borrowed_address_has_a_route_of_its_own_to_the_node_that_has_it():
    nodes, pools = racks(), [pool(vxlan_mode="Always")]
    borrowed = block(2, holders={5: "node-3", 6: "node-1", 7: "node-2"})
    found = wanted(nodes, pools, [block(1), borrowed, block(3)])
    single = {str(it.dst): str(it.via) for it in found if isinstance(it, Route) and it.dst.prefixlen == 32}
    assert single == {"10.244.2.5/32": "10.244.3.0"}


def test_a_block_without_a_node_still_leads_to_those_who_have_its_addresses():
    nodes, pools = racks(), [pool(vxlan_mode="Always")]
    orphan = replace(block(9, holders={5: "node-3"}), affinity=None)
    routes = {it for it in wanted(nodes, pools, [orphan]) if isinstance(it, Route)}
    assert {str(it.dst) for it in routes} == {"10.244.9.5/32"}


def test_a_block_of_one_address_is_no_blackhole():
    nodes, pools = racks()[:1], [pool(vxlan_mode="Always", block_size=32)]
    assert not [it for it in wanted(nodes, pools, [block(1, size=32)]) if isinstance(it, Route)]


def test_a_block_of_no_pool_has_no_route():
    nodes, pools = racks(), [pool("10.244.128.0/17", vxlan_mode="Always")]
    assert not [it for it in wanted(nodes, pools) if isinstance(it, Route)]


def test_a_peer_whose_tunnel_has_no_address_yet_has_no_route():
    here, there = node(1), node(2)
    there = replace(there, spec=replace(there.spec, ipv4_vxlan_tunnel_addr=None))
    found = wanted([here, there], [pool(vxlan_mode="Always")])
    assert {str(it.dst) for it in found if isinstance(it, Route)} == {"10.244.1.0/26"}


def test_what_leaves_the_pools_is_masqueraded_and_nothing_else():
    pools = [pool("10.244.0.0/17", nat_outgoing=True), pool("10.244.128.0/17", "pool-2", vxlan_mode="Always")]
    found = wanted(racks(), pools)
    sets = {it.name: it.members for it in found if isinstance(it, IpSet)}
    assert sets == {
        "cali40all-ipam-pools": {"10.244.0.0/17", "10.244.128.0/17"},
        "cali40masq-ipam-pools": {"10.244.0.0/17"},
        "cali40all-vxlan-net": {"192.168.1.12", "192.168.2.13"},
    }
    chains = {it.name: it.rules for it in found if isinstance(it, Chain)}
    (outgoing,) = chains["cali-nat-outgoing"]
    assert str(outgoing).endswith(
        "-m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst "
        "-j MASQUERADE --random-fully"
    )
    devices = [str(rule).partition("-m comment")[0] for rule in chains["cali-POSTROUTING"]]
    assert devices == ["", "", "-o vxlan.calico "]


def test_pods_of_a_disabled_pool_still_reach_the_outside():
    found = wanted(racks(), [pool(nat_outgoing=True, disabled=True)])
    (masqueraded,) = (it for it in found if isinstance(it, IpSet) and "masq" in it.name)
    assert masqueraded.members == {"10.244.0.0/16"}


def test_a_pool_of_a_family_that_the_node_has_not_changes_nothing_on_it():
    four = [pool(vxlan_mode="Always", nat_outgoing=True)]
    six = pool("fd00:10::/48", "pool-6", vxlan_mode="Always", nat_outgoing=True)
    other = replace(block(1), cidr=ip_network("fd00:10::/122"))
    assert wanted(racks(), [*four, six], [block(1), block(2), other]) == wanted(
        racks(), four, [block(1), block(2)]
    )


def test_a_peer_whose_mac_is_no_mac_has_the_one_of_its_name():
    here, there = node(1), node(2)
    there = replace(there, spec=replace(there.spec, vxlan_tunnel_mac="66:zz"))
    found = wanted([here, there], [pool(vxlan_mode="Always")])
    assert {it.mac for it in found if isinstance(it, FdbEntry)} == {mac_of("node-2")}


def test_all_routes_have_the_protocol_that_tells_them_felixs_whatever_is_configured():
    here = site(node(1), [pool(vxlan_mode="Always")])
    odd = replace(here, felix=replace(here.felix, device_route_protocol=3))
    found = NodeState(odd).desired_state(snapshot([node(1), node(2)], [pool(vxlan_mode="Always")]))
    assert any(isinstance(it, Route) for it in found)
    assert all(ownership.owner().owns(it) for it in found)


same_node, same_block = cache(node), cache(block)
"""One object for one value, as in a snapshot that a change did not touch."""

MODES = [{}, {"ipip_mode": "Always"}, {"ipip_mode": "CrossSubnet"}, {"vxlan_mode": "Always"}]


@st.composite
def moments(draw):
    """A moment of a cluster of up to four nodes, some of whose addresses are borrowed."""
    numbers = draw(st.sets(st.integers(2, 4)))
    nodes = [
        node(1, rack=1),
        *(node(number, rack=draw(st.sampled_from((1, 2)))) for number in sorted(numbers)),
    ]
    names = st.sampled_from([it.name for it in nodes] + ["node-9"])
    owned = draw(st.sets(st.integers(1, 6)))
    blocks = [same_block(number) for number in sorted(owned)]
    holders = draw(st.dictionaries(st.integers(0, 3), names, max_size=2))
    return nodes, [*blocks[1:], block(7, holders=holders)]


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(st.lists(moments(), min_size=1, max_size=4))
def test_what_is_kept_from_one_moment_to_the_next_changes_nothing(mode, sequence):
    pools = [pool(**mode)]
    state = NodeState(site(node(1, rack=1), pools))
    for nodes, blocks in sequence:
        moment = snapshot(nodes, pools, blocks)
        fresh = NodeState(state.site).desired_state(moment)
        assert state.desired_state(moment) == fresh


def test_a_new_block_of_one_peer_is_one_route_on_every_node():
    nodes, pools = racks(), [pool(vxlan_mode="Always")]
    before = snapshot(nodes, pools)
    state = NodeState(site(nodes[0], pools))
    had = state.desired_state(before)
    more = replace(
        before,
        blocks={**before.blocks, block(9).cidr: Place(block(9).cidr, "node-3", nodes=frozenset({"node-3"}))},
    )
    assert {str(it) for it in state.desired_state(more) - had} == {
        "route 10.244.9.0/26 via 10.244.3.0 dev vxlan.calico onlink"
    }
    assert ip_network("10.244.1.0/26") in state.blocks
