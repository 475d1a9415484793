"""The router of the tests of netfilter: what is on it, and the sets that its rules may name.

A client's side hangs on cali1, a server's side on eth1; neither side has an address, so that nobody there
says a word of his own.
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

from fabric.netstate.objects import Address, IpSet, LinkUp, Neighbor, NetState, Route, Sysctl, Veth

CLIENT_MAC, SERVER_MAC = "02:00:00:00:01:02", "02:00:00:00:02:02"
ROUTER_MACS = {"cali1": "02:00:00:00:01:01", "eth1": "02:00:00:00:02:01"}
FAR = {"cali1": "client", "eth1": "server"}

_CLIENTS = ("10.1.0.2", "10.1.0.3", "10.1.0.9", "fd01::2", "fd01::3")
_SERVERS = ("10.2.0.2", "10.2.0.3", "10.2.0.9", "fd02::2", "fd02::3")
_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/icmp_echo_ignore_all": "1",
    "net/ipv6/icmp/echo_ignore_all": "1",
    "net/ipv4/icmp_ratemask": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
    **{f"net/ipv4/conf/{dev}/rp_filter": "0" for dev in FAR},
}
_QUIET = {
    f"net/ipv6/conf/{dev}/{name}": "1"
    for dev in FAR
    for name in ("addr_gen_mode", "mldv2_unsolicited_report_interval")
}
_FAR_SETTINGS = {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/eth0/disable_ipv6": "1"}

DEVICES: NetState = frozenset(
    {
        Veth("cali1", "eth0", "client", mac=ROUTER_MACS["cali1"], peer_mac=CLIENT_MAC, up=False),
        Veth("eth1", "eth0", "server", mac=ROUTER_MACS["eth1"], peer_mac=SERVER_MAC, up=False),
    }
)
FAR_END: NetState = frozenset({*(Sysctl(*it) for it in _FAR_SETTINGS.items()), LinkUp("eth0")})
ROUTER: NetState = frozenset(
    {
        LinkUp("lo"),
        *(LinkUp(dev) for dev in FAR),
        *(Sysctl(*it) for it in (_SETTINGS | _QUIET).items()),
        *(Address(ip_interface(it), "cali1") for it in ("10.1.0.1/24", "fd01::1/64")),
        *(Address(ip_interface(it), "eth1") for it in ("10.2.0.1/24", "fd02::1/64")),
        *(Neighbor(ip_address(it), CLIENT_MAC, "cali1") for it in _CLIENTS),
        *(Neighbor(ip_address(it), SERVER_MAC, "eth1") for it in _SERVERS),
        Route(ip_network("10.9.0.0/16"), IPv4Address("10.2.0.2"), "eth1"),
        Route(ip_network("10.66.0.0/16"), type="unreachable"),
        Route(ip_network("10.67.0.0/16"), type="blackhole"),
        Route(ip_network("10.68.0.0/16"), type="prohibit"),
    }
)

SETS = (
    IpSet("clients", "hash:ip", 4, frozenset({"10.1.0.2", "10.1.0.9"})),
    IpSet("nets", "hash:net", 4, frozenset({"10.1.0.0/24", "10.2.0.0/24 nomatch", "10.0.0.0/8", "10.2.0.3"})),
    IpSet("ports", "hash:ip,port", 4, frozenset({"10.2.0.2,tcp:80", "10.2.0.2,udp:53", "10.1.0.2,tcp:1000"})),
    IpSet("netports", "hash:net,port", 4, frozenset({"10.2.0.0/24,tcp:443", "10.2.0.2,tcp:443 nomatch"})),
    IpSet("none", "hash:net", 4, frozenset()),
    IpSet("clients6", "hash:ip", 6, frozenset({"fd01::2"})),
    IpSet("nets6", "hash:net", 6, frozenset({"fd02::/64", "fd02::3 nomatch"})),
    IpSet("ports6", "hash:ip,port", 6, frozenset({"fd02::2,tcp:80", "fd02::2,udp:53"})),
)
