"""What Calico writes, as rows of the kernel port's contract: workloads, its tunnels, pools and blocks.

IPIP has rows of its own: a kernel that lacks the driver takes a TUN device in its place.
"""

from __future__ import annotations

import errno
from ipaddress import ip_address, ip_interface

from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    Ipip,
    IpSet,
    NetObject,
    NetState,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from support.kernel_cases import LAN, LAN4, PORT, RoundTrip, route
from support.kernel_refusals import Refusal, add

WORKLOAD = Veth("cali0123456789a", "eth0", "pod:1", 1480, "ee:ee:ee:ee:ee:ee")
CARRIED = Tun("tunl0", 1480)
TUNL0 = Ipip()
BLOCK_ADDRESS = Address(ip_interface("10.244.1.0/32"), "tunl0")
VXLAN_CALICO = Vxlan("vxlan.calico", 4096, "br0", LAN4.address.ip, 4789, 1450, "66:00:00:00:00:01")
POINT_TO_POINT = Ipip("ipip1", 1400, LAN4.address.ip, ip_address("192.168.0.12"))
POOLS = "cali40all-ipam-pools"
_LONGEST = "cali40s:0123456789abcdefghijklm"
_REMOTE_BLOCK = route("10.244.2.0/26", "192.168.0.12", "tunl0", onlink=True, proto=80)

CALICO_ROUND_TRIPS: dict[str, RoundTrip] = {
    "tun": (frozenset(), (CARRIED,)),
    "tun-options": (frozenset(), (Tun("tunl0", 9000, up=False),)),
    "tun-address": (frozenset({CARRIED}), (BLOCK_ADDRESS, Address(ip_interface("fd01::1/128"), "tunl0"))),
    "tun-routes": (
        LAN | {CARRIED, BLOCK_ADDRESS},
        (
            _REMOTE_BLOCK,
            route("10.9.0.0/16", None, "tunl0", scope="link"),
            route("fd01::/64", None, "tunl0"),
            Sysctl("net/ipv4/conf/tunl0/rp_filter", "0"),
        ),
    ),
    "workload": (
        LAN,
        (
            WORKLOAD,
            route("10.244.1.2/32", None, WORKLOAD.name, scope="link", proto=80),
            route("fd01::2/128", None, WORKLOAD.name, proto=80),
            *(
                Sysctl(f"net/ipv4/conf/{WORKLOAD.name}/{name}", value)
                for name, value in (
                    ("proxy_arp", "1"),
                    ("rp_filter", "1"),
                    ("forwarding", "1"),
                    ("route_localnet", "1"),
                )
            ),
            Sysctl(f"net/ipv4/neigh/{WORKLOAD.name}/proxy_delay", "0"),
        ),
    ),
    "route-via-a-host-route": (
        frozenset({PORT, Address(ip_interface("10.244.1.2/32"), "br0")}),
        (
            route("169.254.1.1/32", None, "br0", scope="link"),
            route("0.0.0.0/0", "169.254.1.1", "br0"),
        ),
    ),
    "vxlan-calico": (
        LAN,
        (
            VXLAN_CALICO,
            Address(ip_interface("10.244.1.1/32"), "vxlan.calico"),
            route("10.244.2.0/26", "10.244.2.0", "vxlan.calico", onlink=True, proto=80),
        ),
    ),
    "blocks": (
        frozenset({PORT}),
        (
            route("10.244.1.0/26", type="blackhole", proto=80),
            route("10.244.1.64/26", type="blackhole", proto=12),
        ),
    ),
    "pools": (
        frozenset(
            {
                IpSet(POOLS, "hash:net", 4, frozenset({"10.244.0.0/16", "10.245.0.0/16"})),
                IpSet(_LONGEST, "hash:net", 4, frozenset({"10.244.1.2"})),
            }
        ),
        (
            Chain.parse(
                "nat",
                "cali-nat-outgoing",
                (
                    f"-m set --match-set {POOLS} src -m set ! --match-set {POOLS} dst -j MASQUERADE",
                    f"-m set --match-set {_LONGEST} src -j RETURN",
                ),
            ),
        ),
    ),
}

CALICO_REFUSALS: dict[str, Refusal] = {
    "tun-of-another-mtu": Refusal(frozenset({CARRIED}), add(Tun("tunl0", 1400)), errno.EEXIST),
    "tun-named-as-a-bridge": Refusal(LAN, add(Tun("br0")), errno.EEXIST),
    "tun-name-too-long": Refusal(frozenset(), add(Tun("a-name-too-long1")), errno.ERANGE),
    "bridge-named-as-a-tun": Refusal(frozenset({CARRIED}), add(Bridge("tunl0")), errno.EEXIST),
    "route-on-a-lowered-tun": Refusal(
        LAN | {Tun("tunl0", up=False)}, add(route("10.9.0.0/16", None, "tunl0")), errno.ENETDOWN
    ),
    "route-onlink-on-a-lowered-tun": Refusal(
        LAN | {Tun("tunl0", up=False)}, add(_REMOTE_BLOCK), errno.ENETDOWN
    ),
    "route-via-nowhere-on-a-tun": Refusal(
        LAN | {CARRIED}, add(route("10.244.2.0/26", "192.168.0.12", "tunl0")), errno.ENETUNREACH
    ),
    "route-via-itself-on-a-tun": Refusal(
        LAN | {CARRIED, BLOCK_ADDRESS},
        add(route("10.9.0.0/16", "10.244.1.0", "tunl0", onlink=True)),
        errno.EINVAL,
    ),
    "route-via-its-underlay-address-on-a-tun": Refusal(
        LAN | {CARRIED}, add(route("10.9.0.0/16", "192.168.0.11", "tunl0", onlink=True)), errno.EINVAL
    ),
}

CALICO_CHANGES: tuple[tuple[NetObject, NetObject], ...] = (
    (CARRIED, Tun("tunl0", 1400, up=False)),
    (Tun("tunl0", up=False), CARRIED),
    (Tun("br1"), Bridge("br1")),
    (Bridge("tunl0"), CARRIED),
    (WORKLOAD, Veth(WORKLOAD.name, "eth0", "pod:1", 1450, WORKLOAD.mac)),
    (VXLAN_CALICO, Vxlan("vxlan.calico", 4096, "br0", LAN4.address.ip, 4789, 1400, "66:00:00:00:00:02")),
)

_IPIP: NetState = LAN | {TUNL0, BLOCK_ADDRESS}
IPIP_ROUND_TRIPS: dict[str, RoundTrip] = {
    "ipip": (frozenset(), (TUNL0,)),
    "ipip-mtu": (LAN, (Ipip(mtu=1400),)),
    "ipip-between-two": (LAN, (POINT_TO_POINT,)),
    "ipip-between-two-down": (LAN, (Ipip("ipip1", 1480, None, ip_address("192.168.0.12"), up=False),)),
    "ipip-address": (frozenset({TUNL0}), (BLOCK_ADDRESS,)),
    "ipip-routes": (
        _IPIP,
        (
            _REMOTE_BLOCK,
            route("10.9.0.0/16", None, "tunl0", scope="link"),
            Sysctl("net/ipv4/conf/tunl0/rp_filter", "0"),
        ),
    ),
}
IPIP_REFUSALS: dict[str, Refusal] = {
    "ipip-a-second-without-ends": Refusal(frozenset({TUNL0}), add(Ipip("tunl1")), errno.EEXIST),
    "ipip-a-second-between-the-same": Refusal(
        LAN | {POINT_TO_POINT},
        add(Ipip("ipip2", 1400, POINT_TO_POINT.local, POINT_TO_POINT.remote)),
        errno.EEXIST,
    ),
    "ipip-of-another-mtu": Refusal(
        LAN | {POINT_TO_POINT},
        add(Ipip("ipip1", 1300, POINT_TO_POINT.local, POINT_TO_POINT.remote)),
        errno.EEXIST,
    ),
    "ipip-named-as-a-bridge": Refusal(LAN, add(Ipip("br0")), errno.EEXIST),
    "route-on-a-lowered-ipip": Refusal(
        LAN | {Ipip("ipip1", 1400, LAN4.address.ip, up=False)},
        add(route("10.9.0.0/16", "192.168.0.12", "ipip1", onlink=True)),
        errno.ENETDOWN,
    ),
    "route-via-itself-on-ipip": Refusal(
        _IPIP, add(route("10.9.0.0/16", "10.244.1.0", "tunl0", onlink=True)), errno.EINVAL
    ),
}
IPIP_CHANGES: tuple[tuple[NetObject, NetObject], ...] = (
    (TUNL0, Ipip(mtu=1400)),
    (POINT_TO_POINT, Ipip("ipip1", 1300, POINT_TO_POINT.local, POINT_TO_POINT.remote, up=False)),
    (POINT_TO_POINT, Ipip("ipip1", 1400, POINT_TO_POINT.local, ip_address("192.168.0.13"))),
    (Tun("ipip1"), POINT_TO_POINT),
)
