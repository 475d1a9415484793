"""What both sides of the kernel port must take: one row a case."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IpSet,
    Jump,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    NextHop,
    Qdisc,
    Route,
    Sysctl,
    Veth,
    Vxlan,
)

VTEP = "02:00:00:00:00:02"
PORT = Bridge("br0", 1500)
LAN4 = Address(ip_interface("192.168.0.11/24"), "br0")
LAN6 = Address(ip_interface("fd00::11/64"), "br0")
TUNNEL = Vxlan("flannel.1", 1, "br0", ip_address("192.168.0.11"))
LAN: NetState = frozenset({PORT, LAN4, LAN6})
NODE: NetState = LAN | {TUNNEL}


def route(dst: str, via: str | None = None, dev: str | None = None, **more: object) -> Route:
    """Return a route from the words of `ip route`."""
    gateway = ip_address(via) if via else None
    return Route(ip_network(dst), gateway, dev, **more)  # type: ignore[arg-type]


def hop(via: str, dev: str, weight: int = 1, onlink: bool = False) -> NextHop:
    return NextHop(ip_address(via), dev, weight, onlink)


RoundTrip = tuple[NetState, tuple[NetObject, ...]]
"""What stands there before, and what is put on it."""

ROUND_TRIPS: dict[str, RoundTrip] = {
    "bridge": (frozenset(), (Bridge("br0"),)),
    "bridge-options": (frozenset(), (Bridge("br0", 1400, "02:00:00:00:00:01", up=False),)),
    "veth": (frozenset(), (Veth("veth1", "eth0", "pod:1"),)),
    "veth-down": (frozenset(), (Veth("veth1", "eth0", "pod:1", up=False),)),
    "veth-options": (
        frozenset({PORT}),
        (Veth("veth1", "eth0", "pod:1", 1450, VTEP, "02:00:00:00:00:03", "br0", hairpin=True),),
    ),
    "veth-inside-one-namespace": (frozenset(), (Veth("veth1", "veth2", "node-1", 1400),)),
    "vxlan": (LAN, (TUNNEL,)),
    "vxlan-options": (
        LAN,
        (Vxlan("vxlan.calico", 4096, "br0", LAN4.address.ip, 4789, 1400, VTEP, True, True, False),),
    ),
    "vxlan-ipv6": (LAN, (Vxlan("flannel-v6.1", 1, "br0", LAN6.address.ip, mtu=1430),)),
    "link-up": (frozenset(), (LinkUp("lo"),)),
    "link-mtu": (frozenset(), (LinkMtu("lo", 1500),)),
    "link-of-another's": (
        frozenset({Veth("veth1", "veth2", "node-1")}),
        (LinkUp("veth2"), LinkMtu("veth2", 1400), LinkMac("veth2", VTEP)),
    ),
    "address": (frozenset({PORT}), (LAN4, Address(ip_interface("10.244.1.0/32"), "br0"))),
    "address-ipv6": (frozenset({PORT}), (LAN6, Address(ip_interface("fd00:1::/128"), "br0"))),
    "route": (LAN, (route("10.244.2.0/24", "192.168.0.12", "br0"),)),
    "route-device-left-open": (LAN, (route("10.244.2.0/24", "192.168.0.12"),)),
    "route-via-itself": (LAN, (route("10.9.0.0/16", "192.168.0.11", "br0"),)),
    "route-default": (LAN, (route("0.0.0.0/0", "192.168.0.1", "br0"),)),
    "route-default-ipv6": (LAN, (route("::/0", "fd00::1", "br0"),)),
    "route-onlink": (NODE, (route("10.244.2.0/24", "10.244.2.0", "flannel.1", onlink=True),)),
    "route-onlink-ipv6": (LAN, (route("fd01::/64", "fd01::", "br0", onlink=True),)),
    "route-device-only": (LAN, (route("10.244.2.7/32", None, "br0", scope="link"),)),
    "route-device-only-ipv6": (LAN, (route("fd01::7/128", None, "br0", scope="link"),)),
    "route-options": (
        LAN,
        (
            route("10.9.0.0/16", "192.168.0.12", "br0", src=LAN4.address.ip, metric=32, proto=12),
            route("10.9.0.0/16", "192.168.0.13", "br0", metric=33, table=100, proto=80),
            route("10.9.0.0/16", "192.168.0.13", "br0", table=1000, proto=4),
        ),
    ),
    "route-options-ipv6": (
        LAN,
        (route("fd01::/64", "fd00::12", "br0", src=LAN6.address.ip, metric=32, table=1000, proto=80),),
    ),
    "route-types": (
        frozenset({PORT}),
        (
            route("10.1.0.0/16", type="blackhole", proto=80),
            route("10.2.0.0/16", type="unreachable"),
            route("10.3.0.0/16", type="prohibit", metric=5),
        ),
    ),
    "route-types-ipv6": (
        frozenset({PORT}),
        (route("fd01::/64", type="blackhole", proto=80), route("fd02::/64", type="unreachable")),
    ),
    "route-multipath": (
        LAN,
        (route("10.9.0.0/16", next_hops=(hop("192.168.0.12", "br0"), hop("192.168.0.13", "br0", 3))),),
    ),
    "route-multipath-onlink": (
        LAN,
        (
            route(
                "10.9.0.0/16",
                next_hops=(hop("10.8.0.1", "br0", 1, True), hop("10.8.0.2", "br0", 1, True)),
            ),
        ),
    ),
    "route-multipath-ipv6": (
        LAN,
        (route("fd01::/64", next_hops=(hop("fd00::12", "br0"), hop("fd00::13", "br0", 2))),),
    ),
    "route-one-leg": (LAN, (route("10.9.0.0/16", next_hops=(hop("192.168.0.12", "br0"),)),)),
    "neighbor": (NODE, (Neighbor(ip_address("10.244.2.0"), VTEP, "flannel.1"),)),
    "neighbor-ipv6": (NODE, (Neighbor(ip_address("fd01::"), VTEP, "flannel.1"),)),
    "fdb": (NODE, (FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1"),)),
    "fdb-ipv6": (
        LAN | {Vxlan("flannel-v6.1", 1, "br0", LAN6.address.ip, mtu=1430)},
        (FdbEntry(VTEP, ip_address("fd00::12"), "flannel-v6.1"),),
    ),
    "qdisc-tbf": (LAN, (Qdisc("br0", "tbf", 100_000_000, 65536, 50_000),)),
    "qdisc-tbf-slow": (LAN, (Qdisc("br0", "tbf", 64_000, 1600, 12_345),)),
    "qdisc-tbf-fast": (LAN, (Qdisc("br0", "tbf", 10_000_000_000, 1_000_001, 7),)),
    "qdisc-htb": (LAN, (Qdisc("br0", "htb", 20_000_000, 15_000),)),
    "sysctl": (LAN, (Sysctl("net/ipv4/ip_forward", "1"), Sysctl("net/ipv4/conf/br0/rp_filter", "2"))),
    "sysctl-ipv6": (LAN, (Sysctl("net/ipv6/conf/br0/accept_ra", "0"),)),
    "ipset": (
        frozenset(),
        (
            IpSet("cali40s:1"),
            IpSet("cali40s:2", "hash:net", 4, frozenset({"10.0.0.0/8", "10.244.1.2"})),
            IpSet("cali60s:2", "hash:net", 6, frozenset({"fd00::/8", "fd01::1"})),
            IpSet("cali40ports", "hash:ip,port", 4, frozenset({"10.0.0.1,tcp:80", "10.0.0.1,udp:53"})),
            IpSet("cali40ip", "hash:ip", 4, frozenset({"10.0.0.1"})),
        ),
    ),
    "chain": (
        frozenset(),
        (Chain.parse("filter", "FLANNEL-FWD"), Chain.parse("nat", "FLANNEL-POSTRTG", (), 6)),
    ),
    "chain-rules": (
        frozenset({IpSet("cali40s:2", members=frozenset({"10.0.0.0/8"}))}),
        (
            Chain.parse(
                "filter", "cali-A", ('-m comment --comment "node-1 says hello" -j cali-B', "-j RETURN")
            ),
            Chain.parse("filter", "cali-B", ("-m set --match-set cali40s:2 src -j DROP",)),
            Chain.parse("nat", "KUBE-MARK-MASQ", ("-j MARK --set-xmark 0x4000/0x4000",)),
            Chain.parse("mangle", "cali-M", ("-p tcp -m tcp --dport 80 -j ACCEPT",)),
            Chain.parse("raw", "cali-R", ("-i cali+ -j MARK --set-xmark 0x40000/0x40000",)),
        ),
    ),
    "chain-rules-ipv6": (
        frozenset({IpSet("cali60s:2", "hash:net", 6, frozenset({"fd00::/8"}))}),
        (
            Chain.parse(
                "filter", "cali-A", ("-m set --match-set cali60s:2 dst -j ACCEPT", "-s fd00::/8 -j DROP"), 6
            ),
        ),
    ),
    "jumps": (
        frozenset({Chain.parse("filter", "FLANNEL-FWD"), Chain.parse("filter", "cali-FORWARD", (), 6)}),
        (
            Jump.parse("filter", "FORWARD", '-m comment --comment "flanneld forward" -j FLANNEL-FWD'),
            Jump.parse("filter", "INPUT", "-j FLANNEL-FWD", "insert"),
            Jump.parse("filter", "FORWARD", "-j cali-FORWARD", "insert", 6),
        ),
    ),
}
