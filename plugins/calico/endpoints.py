"""A pod's attachment as Calico wires it: a veth of its own, and no bridge.

The pod's address has no neighbours (/32): all it sends goes to 169.254.1.1, for which the node's end answers
by proxy ARP, so that the node routes every packet, also between two pods of its own. The node has a route to
each pod over its `cali…` device. Names follow from the pod's, so that CHECK says the same for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_interface, ip_network

from fabric.netstate.objects import (
    Address,
    IPAddress,
    LinkMac,
    LinkMtu,
    LinkUp,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Veth,
)
from fabric.plugin.contract import Attachment, PodRef

GATEWAY = IPv4Address("169.254.1.1")
HOST_MAC = "ee:ee:ee:ee:ee:ee"
"""Of the node's end of every pod: the pod's ARP entry stays right when its node's end is made anew."""
RTPROT_BOOT = 3
"""The protocol of pods' routes unless deviceRouteProtocol says another: `ip route` shows none."""
_SETTINGS = (
    ("net/ipv4/conf/{0}/route_localnet", "1"),
    ("net/ipv4/neigh/{0}/proxy_delay", "0"),
    ("net/ipv4/conf/{0}/proxy_arp", "1"),
    ("net/ipv4/conf/{0}/forwarding", "1"),
    ("net/ipv4/conf/{0}/rp_filter", "1"),
)


def attachment(pod: PodRef, addresses: tuple[IPAddress, ...], mtu: int, device: str) -> Attachment:
    """Return how the pod with these addresses hangs on its node, where its veth is called `device`."""
    return Attachment(
        ips=tuple(ip_interface(address) for address in addresses),
        gateways=(GATEWAY,),
        mtu=mtu,
        node=_node(pod, device, addresses, mtu),
        pod=frozenset((LinkUp("lo"), *_pod(pod, addresses, mtu))),
    )


def with_route_options(
    attachment: Attachment, protocol: int, sources: Mapping[int, IPAddress | None]
) -> Attachment:
    """The same with deviceRouteProtocol and, by family, deviceRouteSourceAddress in the pod's routes."""
    node = frozenset(
        replace(it, proto=protocol, src=sources.get(it.dst.version)) if isinstance(it, Route) else it
        for it in attachment.node
    )
    return replace(attachment, node=node)


def mac_of(uid: str) -> str:
    """A locally administered MAC of the pod's own, the same whenever it is computed."""
    first, *rest = hashlib.sha256(uid.encode()).digest()[:6]
    return ":".join(f"{byte:02x}" for byte in ((first | 0x02) & 0xFE, *rest))


def _node(pod: PodRef, device: str, addresses: tuple[IPAddress, ...], mtu: int) -> NetState:
    veth = Veth(
        name=device,
        peer=pod.device,
        peer_ns=pod.netns,
        mtu=mtu,
        mac=HOST_MAC,
        peer_mac=mac_of(pod.uid),
    )
    settings = (Sysctl(path.format(device), value) for path, value in _SETTINGS)
    routes = (
        Route(ip_network(address), dev=device, scope="link", proto=RTPROT_BOOT) for address in addresses
    )
    return frozenset((veth, *settings, *routes))


def _pod(pod: PodRef, addresses: tuple[IPAddress, ...], mtu: int) -> Iterator[NetObject]:
    device = pod.device
    yield from (LinkUp(device), LinkMtu(device, mtu), LinkMac(device, mac_of(pod.uid)))
    for address in addresses:
        yield Address(ip_interface(address), device)
    yield Route(ip_network(GATEWAY), dev=device, scope="link")
    yield Route(ip_network("0.0.0.0/0"), via=GATEWAY, dev=device)
