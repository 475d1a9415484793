from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from fabric.netstate.objects import (
    Address,
    Bridge,
    Ipip,
    IpSet,
    Jump,
    NetState,
    NextHop,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
    device_names,
)
from fabric.netstate.plan import diff, matches

NOTHING: NetState = frozenset()
GATEWAY = ip_address("192.168.0.1")


def test_a_sysctl_that_nobody_wants_any_more_keeps_its_value():
    assert not diff(NOTHING, frozenset({Sysctl("net/ipv4/ip_forward", "1")}))


def test_a_mac_left_open_matches_any_and_one_that_is_set_does_not():
    assert matches(Bridge("br0"), Bridge("br0", mac="02:00:00:00:00:01"))
    assert not matches(Bridge("br0", mac="02:00:00:00:00:02"), Bridge("br0", mac="02:00:00:00:00:01"))
    assert not matches(Bridge("br0", 1400), Bridge("br0", mac="02:00:00:00:00:01"))


def test_a_route_whose_device_is_left_open_matches_the_one_that_linux_chose():
    open_route = Route(ip_network("10.1.0.0/16"), GATEWAY)
    assert matches(open_route, Route(ip_network("10.1.0.0/16"), GATEWAY, "eth0"))


def test_a_jump_matches_where_it_stands_in_its_place():
    def jump(position):
        return Jump.parse("nat", "POSTROUTING", "-j A", position)

    found = {
        wanted: [at for at in ("insert", "append", "alone", "middle") if matches(jump(wanted), jump(at))]
        for wanted in ("insert", "append", "anywhere")
    }
    assert found == {
        "insert": ["insert", "alone"],
        "append": ["append", "alone"],
        "anywhere": ["insert", "append", "alone", "middle"],
    }


def test_a_route_of_ipv6_has_no_scope_and_metric_0_is_1024():
    dst = ip_network("fd00::/64")
    assert Route(dst, dev="eth0", scope="link", metric=1024) == Route(dst, dev="eth0")


def test_a_route_of_one_leg_is_a_plain_route():
    dst = ip_network("10.1.0.0/16")
    assert Route(dst, next_hops=(NextHop(GATEWAY, "eth0", 5),)) == Route(dst, GATEWAY, "eth0")


def test_a_changed_next_hop_is_one_replace():
    dst = ip_network("10.1.0.0/16")
    old, new = Route(dst, GATEWAY, "eth0"), Route(dst, ip_address("192.168.0.2"), "eth0")
    assert str(diff(frozenset({new}), frozenset({old}))) == f"replace {new}\n"


def test_a_device_that_cannot_be_changed_is_deleted_and_made():
    old, new = Veth("veth1", "eth0", "pod:1"), Veth("veth1", "eth0", "pod:2")
    assert str(diff(frozenset({new}), frozenset({old}))) == f"delete {old}\nadd {new}\n"


def test_a_name_that_another_kind_of_device_has_is_freed_first():
    old, new = Bridge("x"), Veth("x", "eth0", "pod:1")
    assert [step.verb for step in diff(frozenset({new}), frozenset({old})).steps] == ["delete", "add"]


def test_a_carried_tunnel_gives_way_to_the_kernels_own():
    old, new = Tun("tunl0", 1480), Ipip()
    remote = Route(ip_network("10.244.2.0/26"), ip_address("192.168.0.12"), "tunl0", onlink=True, proto=80)
    plan = diff(frozenset({new, remote}), frozenset({old, remote}))
    assert str(plan) == f"delete {old}\nadd {new}\nadd {remote}\n"


def test_a_tunnels_mtu_changes_in_place_and_its_ends_do_not():
    one, two, three = Ipip(), Ipip(mtu=1400), Ipip(mtu=1400, remote=GATEWAY)
    assert str(diff(frozenset({two}), frozenset({one}))) == f"replace {two}\n"
    assert str(diff(frozenset({three}), frozenset({two}))) == f"delete {two}\nadd {three}\n"


def test_a_route_to_a_gateway_comes_before_the_route_through_it_and_goes_after_it():
    near = Route(ip_network("169.254.1.1/32"), dev="eth0", scope="link")
    far = Route(ip_network("10.0.0.0/8"), ip_address("169.254.1.1"), "eth0")
    assert [step.obj for step in diff(frozenset({near, far}), NOTHING).steps] == [near, far]
    assert [step.obj for step in diff(NOTHING, frozenset({near, far})).steps] == [far, near]


def test_a_set_of_sets_comes_after_them_and_goes_before_them():
    one, both = IpSet("one"), IpSet("all", "list:set", members=frozenset({"one"}))
    assert [step.obj for step in diff(frozenset({one, both}), NOTHING).steps] == [one, both]
    assert [step.obj for step in diff(NOTHING, frozenset({one, both})).steps] == [both, one]


def test_objects_say_which_devices_they_need():
    assert device_names(Vxlan("flannel.1", 1, "eth0", GATEWAY)) == {"flannel.1", "eth0"}
    assert device_names(Ipip()) == device_names(Tun("tunl0")) == {"tunl0"}
    assert device_names(Address(ip_interface("10.0.0.1/8"), "cni0")) == {"cni0"}
    assert device_names(Sysctl("net/ipv4/conf/cni0/rp_filter", "0")) == {"cni0"}
    assert device_names(Sysctl("net/ipv4/conf/all/rp_filter", "0")) == frozenset()
    assert device_names(Sysctl("net/ipv4/ip_forward", "1")) == frozenset()
    assert device_names(IpSet("s")) == frozenset()


def test_a_route_whose_device_was_left_open_is_put_again_when_its_gateway_moves_to_another_device():
    near = ip_interface("192.168.0.1/24")
    open_route = Route(ip_network("10.244.2.0/24"), ip_address("192.168.0.2"))
    before = {Address(near, "veth1"), replace(open_route, dev="veth1")}
    plan = diff(frozenset({Address(near, "br0"), open_route}), frozenset(before))
    assert str(plan) == (
        "delete address 192.168.0.1/24 dev veth1\n"
        "add address 192.168.0.1/24 dev br0\n"
        "add route 10.244.2.0/24 via 192.168.0.2\n"
    )
