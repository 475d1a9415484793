"""The tunnel devices of a node, and the entries by which VXLAN finds the others'.

`tunl0` has an address and that is all: a route through it names the other node as its gateway. `vxlan.calico`
needs for each peer a neighbour (the VTEP's address to its MAC) and an FDB entry (that MAC to the node's
address), both permanent: nothing is learned. The MAC follows from the node's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from ipaddress import ip_interface

from calico.encapsulation import IPIP_OVERHEAD, TUNL0, VXLAN_CALICO, VXLAN_OVERHEAD
from calico.felix.site import Site, node_address, vtep_address
from calico.resources.nodes import Node
from fabric.netstate.objects import (
    Address,
    Family,
    FdbEntry,
    IPAddress,
    Ipip,
    Neighbor,
    NetObject,
    NetState,
    Tun,
    Vxlan,
)

FAMILIES: tuple[Family, ...] = (4, 6)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def device(family: Family) -> str:
    """`vxlan.calico`; the second family has a device of its own."""
    return VXLAN_CALICO if family == 4 else "vxlan-v6.calico"


def mac_of(node: str) -> str:
    """66 and the first five bytes of the name's SHA-1."""
    digest = hashlib.sha1(node.encode(), usedforsecurity=False).digest()
    return ":".join(f"{byte:02x}" for byte in (0x66, *digest[:5]))


def vtep_mac(node: Node) -> str:
    """The MAC that the node registered; where that is none, the one that follows from its name."""
    given = node.spec.vxlan_tunnel_mac
    return given if _MAC.fullmatch(given) else mac_of(node.name)


def own_state(site: Site) -> NetState:
    """The devices that the pools ask for, with their addresses."""
    return frozenset((*_ipip(site), *(obj for family in FAMILIES for obj in _vxlan(site, family))))


def peer_state(site: Site, peer: Node) -> NetState:
    """The entries of VXLAN for one peer; none where either side runs none."""
    return frozenset(obj for family in FAMILIES for obj in _peer(site, peer, family))


def mtu_ipip(site: Site) -> int:
    return site.felix.ipip_mtu or site.facts.mtu - IPIP_OVERHEAD


def mtu_vxlan(site: Site, family: Family) -> int:
    given = site.felix.vxlan_mtu if family == 4 else site.felix.vxlan_mtu_v6
    return given or site.facts.mtu - VXLAN_OVERHEAD[family]


def _ipip(site: Site) -> Iterator[NetObject]:
    address = site.ipip_address
    if site.wants_ipip and address is not None:
        mtu = mtu_ipip(site)
        yield Ipip(TUNL0, mtu=mtu) if site.has_ipip else Tun(TUNL0, mtu=mtu)
        yield _host_address(address, TUNL0)


def _vxlan(site: Site, family: Family) -> Iterator[NetObject]:
    own, address = site.address(family), site.vxlan_address(family)
    if not site.wants_vxlan(family) or own is None or address is None:
        return
    yield Vxlan(
        name=device(family),
        vni=site.felix.vxlan_vni or 4096,
        parent=site.facts.device,
        local=own.ip,
        port=site.felix.vxlan_port or 4789,
        mtu=mtu_vxlan(site, family),
        mac=vtep_mac(site.node),
    )
    yield _host_address(address, device(family))


def _peer(site: Site, peer: Node, family: Family) -> Iterator[NetObject]:
    there, vtep = node_address(peer, family), vtep_address(peer, family)
    if site.wants_vxlan(family) and there is not None and vtep is not None:
        mac = vtep_mac(peer)
        yield Neighbor(vtep, mac, device(family))
        yield FdbEntry(mac, there.ip, device(family))


def _host_address(address: IPAddress, dev: str) -> Address:
    return Address(ip_interface((address, address.max_prefixlen)), dev)
