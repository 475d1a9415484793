"""Hypothesis strategies for what a node's namespace may hold: any subset of a pool that Linux would take."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypeVar

from hypothesis import strategies as st

from fabric.errors import KernelRefused
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    Ipip,
    IpSet,
    Jump,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    NextHop,
    Qdisc,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import Plan, diff, matches
from fabric.netstate.rules import Rule

T = TypeVar("T")
NAMESPACES = ("node-1", "pod:1")
_ethernet = st.sampled_from(["br0", "br1", "veth1", "flannel.1"])
_devices = st.sampled_from(["br0", "br1", "veth1", "flannel.1", "tunl0"])
_macs = st.sampled_from([None, "02:00:00:00:00:01", "02:00:00:00:00:02"])
_hosts = st.integers(1, 3).map(lambda n: ip_address(f"192.168.0.{n}"))
_hosts6 = st.integers(1, 3).map(lambda n: ip_address(f"fd00::{n}"))
_networks = st.integers(1, 3).map(lambda n: ip_network(f"10.244.{n}.0/24"))
_networks6 = st.integers(1, 3).map(lambda n: ip_network(f"fd01:{n}::/64"))
_members = st.frozensets(st.sampled_from([f"10.{n}.0.0/16" for n in range(6)]))

_links = st.one_of(
    st.builds(Bridge, st.sampled_from(["br0", "br1"]), st.sampled_from([1500, 1400]), _macs, st.booleans()),
    st.builds(
        Veth,
        name=st.sampled_from(["veth1", "veth2"]),
        peer=st.sampled_from(["eth0", "eth1"]),
        peer_ns=st.just("pod:1"),
        mac=_macs,
        peer_mac=_macs,
        master=st.sampled_from([None, "br0", "br1"]),
    ),
    st.builds(
        Vxlan,
        name=st.sampled_from(["flannel.1", "flannel.2"]),
        vni=st.integers(1, 2),
        parent=st.sampled_from(["br0", "br1"]),
        local=_hosts,
        mtu=st.just(1350),
        mac=_macs,
    ),
    st.builds(Tun, st.sampled_from(["tunl0", "tunl1"]), st.sampled_from([1480, 1400]), st.booleans()),
)
_tunnels = st.one_of(
    st.builds(Ipip, mtu=st.sampled_from([1480, 1400])),
    st.builds(
        Ipip, st.sampled_from(["tunl0", "tunl1"]), st.just(1480), _hosts, st.none() | _hosts, st.booleans()
    ),
)
_addresses = st.one_of(
    st.builds(lambda ip, dev: Address(ip_interface(f"{ip}/24"), dev), _hosts, _devices),
    st.builds(lambda ip, dev: Address(ip_interface(f"{ip}/64"), dev), _hosts6, _devices),
)
_legs = st.lists(st.builds(NextHop, _hosts, _devices, st.integers(1, 2)), max_size=2, unique=True).map(tuple)
_routes = st.one_of(
    st.builds(Route, _networks, _hosts, st.none() | _devices, src=st.none() | _hosts, proto=st.just(80)),
    st.builds(Route, _networks, _hosts, _devices, onlink=st.booleans(), metric=st.integers(0, 1)),
    st.builds(Route, _networks6, _hosts6, _devices, src=st.none() | _hosts6),
    st.builds(Route, _hosts.map(lambda ip: ip_network(f"{ip}/32")), dev=_devices, scope=st.just("link")),
    st.builds(Route, _networks, next_hops=_legs),
    st.builds(Route, _networks, type=st.just("blackhole")),
)
_entries = st.one_of(
    st.builds(Neighbor, _hosts, st.just("02:00:00:00:00:02"), _ethernet),
    st.builds(FdbEntry, st.just("02:00:00:00:00:02"), _hosts, st.sampled_from(["flannel.1", "flannel.2"])),
    st.builds(Sysctl, st.sampled_from(["net/ipv4/ip_forward"]), st.sampled_from(["0", "1"])),
    st.builds(
        lambda dev, value: Sysctl(f"net/ipv4/conf/{dev}/rp_filter", value), _devices, st.sampled_from("01")
    ),
    st.just(LinkUp("lo")),
    st.builds(LinkMtu, st.just("lo"), st.sampled_from([1500, 65536])),
    st.builds(
        Qdisc,
        _devices,
        st.sampled_from(["tbf", "htb"]),
        st.integers(1, 10**9).map(lambda n: 8 * n),
        st.just(9000),
    ),
)
_sets = st.one_of(
    st.builds(IpSet, st.sampled_from(["s1", "s2"]), members=_members),
    st.builds(
        IpSet, st.just("all"), st.just("list:set"), members=st.frozensets(st.sampled_from(["s1", "s2"]))
    ),
)
_targets = st.sampled_from(["-j ACCEPT", "-j A", "-j B", "-j C", "-m set --match-set s1 src -j DROP"]).map(
    Rule.parse
)
_rules = st.one_of(
    st.builds(
        Chain,
        st.just("filter"),
        st.sampled_from("ABC"),
        st.lists(_targets, max_size=3).map(tuple),
        st.sampled_from([4, 6]),
    ),
    st.builds(
        Jump,
        st.just("filter"),
        st.sampled_from(["INPUT", "FORWARD"]),
        _targets,
        st.sampled_from(["insert", "append"]),
        st.sampled_from([4, 6]),
    ),
)
_objects = st.one_of(_links, _addresses, _routes, _entries, _sets, _rules)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that never waits returns: the fake kernel's do not, and a loop costs 0.2 ms."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


def _possible(objects: Iterable[NetObject]) -> NetState:
    """Return those of the objects that Linux takes one after the other, one for each key."""
    kernel = FakeKernel(*NAMESPACES)
    wanted: dict[object, NetObject] = {}
    for step in diff(frozenset(objects), frozenset()).steps:
        try:
            at_once(kernel.host("node-1").apply(Plan((step,))))
        except KernelRefused:
            continue
        wanted[step.obj.key] = step.obj
    host = kernel.host("node-1")
    there = {obj.key: obj for obj in (*host.state, *host.settings)}
    return frozenset(obj for key, obj in wanted.items() if key in there and matches(obj, there[key]))


_ground: NetState = frozenset(
    {
        Bridge("br0"),
        Address(ip_interface("192.168.0.1/24"), "br0"),
        Address(ip_interface("fd00::1/64"), "br0"),
        Vxlan("flannel.1", 1, "br0", ip_address("192.168.0.1"), mtu=1350),
        IpSet("s1"),
        Chain.parse("filter", "A"),
    }
)


def _states(objects: st.SearchStrategy[NetObject]) -> st.SearchStrategy[NetState]:
    return st.builds(
        lambda ground, objects: _possible((*objects, *ground)),
        st.frozensets(st.sampled_from(sorted(_ground, key=str))) | st.just(_ground),
        st.lists(objects, min_size=2, max_size=25),
    )


states = _states(_objects)
states_with_ipip = _states(st.one_of(_objects, _tunnels))
"""Of a kernel with the driver, and without a device of the driver's own."""
