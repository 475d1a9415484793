"""The VXLAN backend: one device, and one neighbour, FDB entry and route for each other node.

A packet for a remote pod takes the route to the remote VTEP's address (the first of its subnet); the
neighbour gives the inner frame its MAC; the FDB entry gives that MAC its outer address. All three are
static: nothing is learned and nothing is resolved. With DirectRouting a peer on the same network
needs a plain route only.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from ipaddress import ip_interface

from fabric.netstate.objects import (
    Address,
    Family,
    FdbEntry,
    IPNetwork,
    Neighbor,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Vxlan,
)
from fabric.plugin.contract import NodeFacts
from flannel import backend
from flannel.backend import Site, is_adjacent, type_refusal
from flannel.leases import Lease, compact
from flannel.net_conf import NetConf, Option

KERNEL_PORT = 8472
OVERHEAD: Mapping[Family, int] = {4: 50, 6: 70}
"""Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14. (flannel takes 50 off for IPv6 too: 20 too few.)"""


class VxlanBackend:
    """Backend.Type vxlan."""

    type = "vxlan"
    features = frozenset({"vxlan", "iptables"})
    options: Mapping[str, Option] = {
        "VNI": Option(1, 1, (1 << 24) - 1),
        "Port": Option(0, 0, 65535),
        "GBP": Option(False),
        "Learning": Option(False),
        "DirectRouting": Option(False),
        "MTU": Option(0, 0, 65535),
    }

    def mtu(self, conf: NetConf, facts: NodeFacts) -> int:
        """MTU of the configuration or the underlay, less the outer headers of the largest family."""
        outer = max(OVERHEAD[range_.family] for range_ in conf.ranges)
        return int(conf.options["MTU"] or facts.mtu) - outer

    def data(self, conf: NetConf, previous: Lease | None, rng: random.Random) -> tuple[str, ...]:
        """VNI and the VTEP's MAC; the MAC of the previous lease stays, so that peers keep their entries."""
        return tuple(_vtep_data(conf, range_.family, previous, rng) for range_ in conf.ranges)

    def own_state(self, site: Site, mtu: int) -> NetState:
        return frozenset(obj for subnet in site.lease.subnets for obj in _device(site, subnet, mtu))

    def peer_state(self, site: Site, peer: Lease) -> NetState:
        if self.refusal(site, peer):
            return frozenset()
        return frozenset(obj for subnet in peer.subnets for obj in _peer(site, peer, subnet))

    def refusal(self, site: Site, peer: Lease) -> str:
        """A peer must run VXLAN too, with a MAC, and with an address of each family."""
        if refusal := type_refusal(self, peer):
            return refusal
        for subnet in peer.subnets:
            if not vtep_mac(peer, _family(subnet)) or peer.public_ip(_family(subnet)) is None:
                return f"the lease of {subnet} has no VtepMAC or no public address: delete its key {peer.key}"
        return ""


def desired_state(site: Site, mtu: int, leases: Iterable[Lease]) -> NetState:
    """Return what this node needs in its kernel to reach every other node's pods by VXLAN."""
    return backend.desired_state(VxlanBackend(), site, mtu, leases)


def device_name(conf: NetConf, family: Family) -> str:
    """`flannel.1`; the second family has a device of its own, `flannel-v6.1`."""
    return f"flannel{'-v6' * (family == 6)}.{conf.options['VNI']}"


def accept_ra(conf: NetConf) -> str:
    """The sysctl by which the IPv6 device would believe a router's advertisement."""
    return f"net/ipv6/conf/{device_name(conf, 6)}/accept_ra"


def vtep_mac(lease: Lease, family: Family) -> str:
    """The MAC of a node's tunnel end, or nothing."""
    return str(lease.backend_data(family).get("VtepMAC") or "")


def _device(site: Site, subnet: IPNetwork, mtu: int) -> Iterable[NetObject]:
    family = _family(subnet)
    name = device_name(site.conf, family)
    local = site.lease.public_ip(family)
    options = site.conf.options
    if local is None:
        return
    yield Vxlan(
        name=name,
        vni=options["VNI"],
        parent=site.facts.device,
        local=local,
        port=options["Port"] or KERNEL_PORT,
        mtu=mtu,
        mac=vtep_mac(site.lease, family),
        learning=options["Learning"],
        gbp=options["GBP"],
        qlen=0,  # As flanneld's: `ip link` tells of no qlen.
    )
    # The subnet's own address, as a host address: what this node itself sends to remote pods comes from it.
    yield Address(ip_interface((subnet.network_address, subnet.max_prefixlen)), name)
    if family == 6:
        yield Sysctl(accept_ra(site.conf), "0")


def _peer(site: Site, peer: Lease, subnet: IPNetwork) -> tuple[NetObject, ...]:
    family = _family(subnet)
    public, mac = peer.public_ip(family), vtep_mac(peer, family)
    if public is None:
        return ()
    if site.conf.options["DirectRouting"] and is_adjacent(site.facts, public):
        return (Route(subnet, via=public, dev=site.facts.device),)
    name = device_name(site.conf, family)
    vtep = subnet.network_address
    return (
        Neighbor(vtep, mac, name),
        FdbEntry(mac, public, name),
        Route(subnet, via=vtep, dev=name, onlink=True),
    )


def _vtep_data(conf: NetConf, family: Family, previous: Lease | None, rng: random.Random) -> str:
    mac = vtep_mac(previous, family) if previous else ""
    return compact({"VNI": conf.options["VNI"], "VtepMAC": mac or _random_mac(rng)})


def _random_mac(rng: random.Random) -> str:
    """A locally administered unicast address."""
    first, *rest = rng.randbytes(6)
    return ":".join(f"{byte:02x}" for byte in ((first | 0x02) & 0xFE, *rest))


def _family(subnet: IPNetwork) -> Family:
    return 4 if subnet.version == 4 else 6
