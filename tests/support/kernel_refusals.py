"""What both sides of the kernel port must refuse: one row a case."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from ipaddress import ip_address

from fabric.netstate.objects import (
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
    Qdisc,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import Step
from support.kernel_cases import LAN, LAN4, LAN6, NODE, PORT, TUNNEL, VTEP, route


@dataclass(frozen=True)
class Refusal:
    """A step that Linux does not take, and what it says; 0: only that it refuses (a tool's own words)."""

    base: NetState
    step: Step
    errno: int = 0


def add(obj: NetObject) -> Step:
    return Step("add", obj)


REFUSALS: dict[str, Refusal] = {
    "bridge-of-another-mtu": Refusal(LAN, add(Bridge("br0", 1400)), errno.EEXIST),
    "bridge-name-too-long": Refusal(frozenset(), add(Bridge("a-name-too-long1")), errno.ERANGE),
    "veth-to-no-namespace": Refusal(frozenset(), add(Veth("veth1", "eth0", "pod:9")), errno.ESRCH),
    "veth-with-a-peer-that-exists": Refusal(
        frozenset({Veth("veth1", "eth0", "pod:1")}), add(Veth("veth2", "eth0", "pod:1")), errno.EEXIST
    ),
    "veth-on-no-bridge": Refusal(
        frozenset(), add(Veth("veth1", "eth0", "pod:1", master="br0")), errno.ENODEV
    ),
    "veth-on-what-is-no-bridge": Refusal(
        NODE, add(Veth("veth1", "eth0", "pod:1", master="flannel.1")), errno.EOPNOTSUPP
    ),
    "vxlan-on-no-device": Refusal(frozenset(), add(TUNNEL), errno.ENODEV),
    "vxlan-of-a-taken-vni": Refusal(NODE, add(Vxlan("flannel.2", 1, "br0", LAN4.address.ip)), errno.EEXIST),
    "link-up-of-no-device": Refusal(frozenset(), add(LinkUp("eth0")), errno.ENODEV),
    "link-mtu-of-no-device": Refusal(frozenset(), add(LinkMtu("eth0", 1500)), errno.ENODEV),
    "link-mtu-too-small": Refusal(LAN, add(LinkMtu("br0", 67)), errno.EINVAL),
    "link-mtu-too-large": Refusal(LAN, add(LinkMtu("br0", 65536)), errno.EINVAL),
    "link-mac-of-no-device": Refusal(frozenset(), add(LinkMac("eth0", VTEP)), errno.ENODEV),
    "link-mac-of-a-group": Refusal(LAN, add(LinkMac("br0", "01:00:5e:00:00:01")), errno.EADDRNOTAVAIL),
    "link-mac-of-a-device-without": Refusal(
        frozenset({Tun("tun1")}), add(LinkMac("tun1", VTEP)), errno.EOPNOTSUPP
    ),
    "address-on-no-device": Refusal(frozenset(), add(LAN4), errno.ENODEV),
    "address-ipv6-where-it-is-off": Refusal(
        frozenset({PORT, Sysctl("net/ipv6/conf/br0/disable_ipv6", "1")}), add(LAN6), errno.EACCES
    ),
    "route-via-nowhere": Refusal(LAN, add(route("10.9.0.0/16", "10.8.0.1", "br0")), errno.ENETUNREACH),
    "route-via-nowhere-ipv6": Refusal(LAN, add(route("fd02::/64", "fd01::1", "br0")), errno.EHOSTUNREACH),
    "route-via-itself-onlink": Refusal(
        LAN, add(route("10.9.0.0/16", "192.168.0.11", "br0", onlink=True)), errno.EINVAL
    ),
    "route-onlink-before-the-first-address": Refusal(
        frozenset({PORT}), add(route("10.9.0.0/16", "10.8.0.1", "br0", onlink=True)), errno.EINVAL
    ),
    "route-via-itself-ipv6": Refusal(LAN, add(route("fd02::/64", "fd00::11", "br0")), errno.EINVAL),
    "route-on-no-device": Refusal(LAN, add(route("10.9.0.0/16", None, "eth0")), errno.ENODEV),
    "route-on-a-lowered-device": Refusal(
        frozenset({Bridge("br0", up=False)}), add(route("10.9.0.0/16", None, "br0")), errno.ENETDOWN
    ),
    "route-from-a-foreign-address": Refusal(
        LAN, add(route("10.9.0.0/16", "192.168.0.12", "br0", src=ip_address("10.9.0.1"))), errno.EINVAL
    ),
    "route-with-another-next-hop": Refusal(
        LAN | {route("10.9.0.0/16", "192.168.0.12", "br0")},
        add(route("10.9.0.0/16", "192.168.0.13", "br0")),
        errno.EEXIST,
    ),
    "route-with-another-next-hop-ipv6": Refusal(
        LAN | {route("fd02::/64", "fd00::12", "br0")},
        add(route("fd02::/64", "fd00::13", "br0")),
        errno.EEXIST,
    ),
    "neighbor-of-another-mac": Refusal(
        NODE | {Neighbor(ip_address("10.244.2.0"), VTEP, "flannel.1")},
        add(Neighbor(ip_address("10.244.2.0"), "02:00:00:00:00:09", "flannel.1")),
        errno.EEXIST,
    ),
    "neighbor-on-no-device": Refusal(
        LAN, add(Neighbor(ip_address("10.244.2.0"), VTEP, "flannel.1")), errno.ENODEV
    ),
    "fdb-towards-another-end": Refusal(
        NODE | {FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1")},
        add(FdbEntry(VTEP, ip_address("192.168.0.13"), "flannel.1")),
        errno.EEXIST,
    ),
    "fdb-on-a-bridge": Refusal(LAN, add(FdbEntry(VTEP, ip_address("192.168.0.13"), "br0")), errno.EOPNOTSUPP),
    "qdisc-on-no-device": Refusal(LAN, add(Qdisc("eth0", "tbf", 8000, 1600)), errno.ENODEV),
    "qdisc-without-rate": Refusal(LAN, add(Qdisc("br0", "tbf", 0, 1600)), errno.EINVAL),
    "qdisc-without-burst": Refusal(LAN, add(Qdisc("br0", "tbf", 8000, 0)), errno.EINVAL),
    "qdisc-of-another-rate": Refusal(
        LAN | {Qdisc("br0", "tbf", 8000, 1600)}, add(Qdisc("br0", "tbf", 16000, 1600)), errno.EEXIST
    ),
    "qdisc-of-another-kind": Refusal(
        LAN | {Qdisc("br0", "tbf", 8000, 1600)}, add(Qdisc("br0", "htb", 8000, 1600)), errno.EEXIST
    ),
    "sysctl-of-no-device": Refusal(
        frozenset(), add(Sysctl("net/ipv4/conf/eth0/rp_filter", "0")), errno.ENOENT
    ),
    "set-with-other-members": Refusal(
        frozenset({IpSet("s")}), add(IpSet("s", members=frozenset({"10.0.0.0/8"}))), errno.EEXIST
    ),
    "set-named-too-long": Refusal(frozenset(), add(IpSet("s" * 32))),
    "set-of-everything": Refusal(frozenset(), add(IpSet("s", members=frozenset({"0.0.0.0/0"})))),
    "set-that-a-rule-names": Refusal(
        frozenset({IpSet("s"), Chain.parse("filter", "A", ("-m set --match-set s src -j DROP",))}),
        Step("delete", IpSet("s")),
    ),
    "chain-with-other-rules": Refusal(
        frozenset({Chain.parse("filter", "A")}), add(Chain.parse("filter", "A", ("-j DROP",))), errno.EEXIST
    ),
    "chain-named-too-long": Refusal(frozenset(), add(Chain.parse("filter", "A" * 29))),
    "chain-that-jumps-nowhere": Refusal(frozenset(), add(Chain.parse("filter", "A", ("-j B",)))),
    "chain-that-names-no-set": Refusal(
        frozenset(), add(Chain.parse("filter", "A", ("-m set --match-set s src -j DROP",)))
    ),
    "chain-that-names-a-set-of-the-other-family": Refusal(
        frozenset({IpSet("s", "hash:net", 6)}),
        add(Chain.parse("filter", "A", ("-m set --match-set s src -j DROP",))),
    ),
    "chain-that-a-rule-jumps-to": Refusal(
        frozenset({Chain.parse("filter", "A", ("-j B",)), Chain.parse("filter", "B")}),
        Step("delete", Chain.parse("filter", "B")),
    ),
    "jump-nowhere": Refusal(frozenset(), add(Jump.parse("filter", "FORWARD", "-j A"))),
    "jump-from-a-chain-that-its-table-has-not": Refusal(
        frozenset(), add(Jump.parse("nat", "FORWARD", "-j ACCEPT"))
    ),
}
