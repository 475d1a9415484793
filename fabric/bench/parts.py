"""The parts of a node's state that `bench loop` changes: Flannel's peers, and policies of a few rules."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from fabric.netstate.members import Members
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IpSet,
    Neighbor,
    NetObject,
    NetState,
    Route,
    Vxlan,
)
from fabric.netstate.port import Owner

KINDS = ("peer", "policy")
UNDERLAY, TUNNEL = "eth0", "flannel.1"
RULES = 8
PARTS_MAX, MEMBERS_MAX, CHANGES_MAX = 65_000, 1_000_000, 65_000
"""What there are addresses for: a /24 of 10.0.0.0/8 each, 10.100.0.1 on, 10.200.0.0/16."""
OWNER = Owner(
    "bench",
    frozenset({Bridge, Vxlan, Address, Route, Neighbor, FdbEntry, Chain, IpSet}),
    lambda obj: "bench" in str(obj) or any(device in str(obj) for device in (UNDERLAY, TUNNEL)),
    families=frozenset({4}),
)

ROOT: NetState = frozenset(
    {
        Bridge(UNDERLAY),
        Address(ip_interface("192.168.0.1/16"), UNDERLAY),
        Vxlan(TUNNEL, 1, UNDERLAY, ip_address("192.168.0.1"), mtu=1450),
        Address(ip_interface("10.0.0.0/32"), TUNNEL),
    }
)
"""The devices that peers hang on; a bridge stands for the underlay's."""


def part(kind: str, number: int, version: int) -> NetState:
    """Return the state of one part; each other version of it, up to CHANGES_MAX, differs in one object."""
    return frozenset(_peer(number, version) if kind == "peer" else _policy(number, version))


def member_set(count: int) -> IpSet:
    """Return a set of that many addresses."""
    first = ip_address("10.100.0.1")
    return IpSet("bench-members", "hash:ip", members=Members(str(first + number) for number in range(count)))


def _peer(number: int, version: int) -> tuple[NetObject, ...]:
    """A peer of Flannel's: route, neighbor and FDB entry, which changes with the peer's address."""
    subnet = ip_network(f"10.{number // 256 + 1}.{number % 256}.0/24")
    mac = f"0e:00:00:00:{number // 256:02x}:{number % 256:02x}"
    outer = ip_address("172.16.0.1") + number + version
    return (
        Neighbor(subnet.network_address, mac, TUNNEL),
        FdbEntry(mac, outer, TUNNEL),
        Route(subnet, via=subnet.network_address, dev=TUNNEL, onlink=True),
    )


def _policy(number: int, version: int) -> tuple[NetObject, ...]:
    """A policy's chain, of which the last rule's port changes."""
    ports = [*range(1, RULES), RULES + version]
    rules = [f"-p tcp -m tcp --dport {port} -j ACCEPT" for port in ports]
    return (Chain.parse("filter", f"bench-{number}", rules, origin=f"policy-{number}"),)
