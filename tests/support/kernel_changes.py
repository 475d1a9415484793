"""Pairs of objects with one key: from each first to its second both sides of the kernel port must go."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from fabric.netstate.objects import (
    Bridge,
    Chain,
    IpSet,
    LinkMac,
    LinkMtu,
    Neighbor,
    NetObject,
    Qdisc,
    Sysctl,
    Veth,
)
from support.kernel_cases import ROUND_TRIPS, TUNNEL, VTEP, route

CHANGES: tuple[tuple[NetObject, NetObject], ...] = (
    (Bridge("br1"), Bridge("br1", 1400, VTEP, up=False)),
    (Veth("v", "eth0", "pod:1"), Veth("v", "eth0", "pod:1", 1400, VTEP, None, "br0", True)),
    (Veth("v", "eth0", "pod:1", master="br0"), Veth("v", "eth0", "pod:1", up=False)),
    (Veth("v", "eth0", "pod:1"), Veth("v", "eth1", "node-2")),
    (LinkMtu("lo", 1500), LinkMtu("lo", 1400)),
    (LinkMac("br0", VTEP), LinkMac("br0", "02:00:00:00:00:03")),
    (TUNNEL, replace(TUNNEL, mtu=1400, mac=VTEP)),
    (TUNNEL, replace(TUNNEL, vni=2, gbp=True, port=4789, learning=True)),
    (route("10.9.0.0/16", "192.168.0.12", "br0"), route("10.9.0.0/16", "192.168.0.13", "br0")),
    (route("10.9.0.0/16", "192.168.0.12", "br0"), route("10.9.0.0/16", type="blackhole")),
    (route("fd01::/64", "fd00::12", "br0"), route("fd01::/64", "fd00::13", "br0", proto=80)),
    (ROUND_TRIPS["route-multipath"][1][0], route("10.9.0.0/16", "192.168.0.12", "br0")),
    (ROUND_TRIPS["route-multipath-ipv6"][1][0], route("fd01::/64", "fd00::12", "br0")),
    (route("fd01::/64", "fd00::12", "br0"), ROUND_TRIPS["route-multipath-ipv6"][1][0]),
    (
        Neighbor(ip_address("192.168.0.9"), VTEP, "br0"),
        Neighbor(ip_address("192.168.0.9"), "02:00:00:00:00:09", "br0"),
    ),
    (Qdisc("br0", "tbf", 8_000_000, 16_000, 1000), Qdisc("br0", "tbf", 16_000_000, 32_000, 2000)),
    (Qdisc("br0", "tbf", 8_000_000, 16_000, 1000), Qdisc("br0", "htb", 16_000_000, 32_000)),
    (Qdisc("br0", "htb", 8_000_000, 16_000), Qdisc("br0", "htb", 16_000_000, 32_000)),
    (Sysctl("net/ipv4/ip_forward", "0"), Sysctl("net/ipv4/ip_forward", "1")),
    (IpSet("s"), IpSet("s", members=frozenset({"10.0.0.0/8"}))),
    (IpSet("s", members=frozenset({"10.0.0.0/8"})), IpSet("s")),
    (
        IpSet("s", members=frozenset(f"10.{n}.0.0/16" for n in range(9))),
        IpSet("s", members=frozenset(f"10.{n}.0.0/16" for n in range(1, 10))),
    ),
    (IpSet("s"), IpSet("s", "hash:ip", 6, frozenset({"fd00::1"}))),
    (Chain.parse("filter", "A", ("-j DROP",)), Chain.parse("filter", "A", ("-j ACCEPT", "-j DROP"))),
)
