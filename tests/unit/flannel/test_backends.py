"""What leases become in the kernel, backend by backend."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from support.flannel_cluster import conf_of, config, facts, host_gw_lease, vxlan_lease

from fabric.netstate.objects import Address, Route, Vxlan
from fabric.netstate.plan import diff
from flannel import host_gw, vxlan
from flannel.backend import Site
from flannel.backends import BACKENDS
from flannel.leases import Lease


def site(backend="vxlan", lease=None, cidrs="10.244.0.0/16", **options):
    return Site(facts(1), conf_of(config(backend, cidrs=cidrs, **options)), lease or vxlan_lease(1))


def text(state):
    return str(diff(state, frozenset()))


def test_one_vxlan_peer_reads_like_the_shell():
    assert text(vxlan.desired_state(site(), 1450, [vxlan_lease(1), vxlan_lease(2)])) == (
        "add link flannel.1 type vxlan id 1 local 192.168.0.11 dev eth0 dstport 8472 nolearning mtu 1450 "
        "address 02:00:00:00:00:01 up\n"
        "add address 10.244.1.0/32 dev flannel.1\n"
        "add neigh 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1\n"
        "add fdb 02:00:00:00:00:02 dst 192.168.0.12 dev flannel.1\n"
        "add route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink\n"
    )


def test_options_name_the_device_its_port_and_its_flags():
    state = vxlan.desired_state(site(VNI=42, Port=4789, Learning=True, GBP=True), 1400, [])
    assert text(state).startswith(
        "add link flannel.42 type vxlan id 42 local 192.168.0.11 dev eth0 dstport 4789 gbp mtu 1400"
    )


def test_direct_routing_spares_the_tunnel_for_a_peer_on_the_same_network():
    far = vxlan_lease(3, "172.16.0.9")
    state = vxlan.desired_state(site(DirectRouting=True), 1450, [vxlan_lease(2), far])
    routes = sorted(str(obj) for obj in state if isinstance(obj, Route))
    assert routes == [
        "route 10.244.2.0/24 via 192.168.0.12 dev eth0",
        "route 10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink",
    ]


def test_host_gw_is_one_route_a_peer_and_nothing_else():
    state = host_gw.desired_state(site("host-gw", host_gw_lease(1)), [host_gw_lease(n) for n in (1, 2, 3)])
    assert text(state) == (
        "add route 10.244.2.0/24 via 192.168.0.12 dev eth0\n"
        "add route 10.244.3.0/24 via 192.168.0.13 dev eth0\n"
    )


def test_host_gw_refuses_a_peer_behind_a_router_and_says_what_to_do():
    me, far = site("host-gw", host_gw_lease(1)), host_gw_lease(2, "172.16.0.9")
    assert host_gw.desired_state(me, [far]) == frozenset()
    assert BACKENDS["host-gw"].refusal(me, far) == (
        "10.244.2.0/24 is behind 172.16.0.9, which is not on this node's network 192.168.0.0/16: "
        "host-gw cannot cross a router, use backend vxlan"
    )


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        (host_gw_lease(2), "runs backend host-gw, this node vxlan"),
        (replace(vxlan_lease(2), data=()), "has no VtepMAC"),
        (replace(vxlan_lease(2), data=("[]",)), "has no VtepMAC"),
        (replace(vxlan_lease(2), public_ips=()), "no public address"),
    ],
)
def test_a_vxlan_peer_that_cannot_be_reached_gets_no_entries(peer, why):
    me = site()
    assert why in BACKENDS["vxlan"].refusal(me, peer)
    assert vxlan.desired_state(me, 1450, [peer]) == vxlan.desired_state(me, 1450, [])


def test_an_older_lease_of_this_very_node_is_no_peer():
    older = vxlan_lease(9, "192.168.0.11")
    assert vxlan.desired_state(site(), 1450, [older]) == vxlan.desired_state(site(), 1450, [])


@pytest.mark.parametrize(
    ("backend", "cidrs", "options", "mtu"),
    [
        ("vxlan", "10.244.0.0/16", {}, 1450),
        ("vxlan", "fd00:10:244::/48", {}, 1430),
        ("vxlan", "10.244.0.0/16 fd00:10:244::/48", {}, 1430),
        ("vxlan", "10.244.0.0/16", {"MTU": 9000}, 8950),
        ("host-gw", "10.244.0.0/16", {}, 1500),
    ],
)
def test_the_pods_mtu_leaves_room_for_the_outer_headers(backend, cidrs, options, mtu):
    conf = conf_of(config(backend, cidrs=cidrs, **options))
    assert BACKENDS[backend].mtu(conf, facts(1)) == mtu


def test_a_second_family_has_a_device_of_its_own():
    data = ('{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}', '{"VNI":1,"VtepMAC":"02:00:00:00:00:61"}')
    subnets = (ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64"))
    lease = Lease(subnets, (ip_address("192.168.0.11"), ip_address("fd00::11")), "vxlan", data)
    state = vxlan.desired_state(site(lease=lease, cidrs="10.244.0.0/16 fd00:10:244::/48"), 1430, [])
    assert {obj.name for obj in state if isinstance(obj, Vxlan)} == {"flannel.1", "flannel-v6.1"}
    assert Address(ip_interface("fd00:10:244:1::/128"), "flannel-v6.1") in state
    assert "sysctl net/ipv6/conf/flannel-v6.1/accept_ra=0" in text(state)
