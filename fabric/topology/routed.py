"""A graph as Linux has it: what every namespace holds, and what the BGP daemon of every router is told.

Both ends of a cable between switches and routers name the whole pair: whichever namespace is reconciled first
makes it, the other finds it. A host's end is made by its switch or router, as in `underlay`. Routes between
routers are BGP's own; nothing here writes or deletes them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from fabric.netstate.objects import (
    Address,
    Bridge,
    IPAddress,
    IPNetwork,
    LinkMac,
    LinkMtu,
    LinkUp,
    NetObject,
    NetState,
    Qdisc,
    Route,
    Sysctl,
    Veth,
)
from fabric.netstate.port import Owner
from fabric.topology.addressing import Addresses, port_name
from fabric.topology.underlay import BRIDGE, DEVICE, port
from fabric.topology.wiring import Link, Role, Segment, Wiring, segments

_STATIC = 4
_LAYER_4 = "1"
"""fib_multipath_hash_policy: flows spread by addresses, protocol and ports."""
_LOOSE = "2"
"""rp_filter: an answer may take another way than its question."""
_SYSCTLS = {
    4: {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/fib_multipath_hash_policy": _LAYER_4,
        "net/ipv4/conf/all/rp_filter": _LOOSE,
    },
    6: {"net/ipv6/conf/all/forwarding": "1", "net/ipv6/fib_multipath_hash_policy": _LAYER_4},
}


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A BGP session of a router's, over a wire that both ends are on."""

    session: str
    """Unique on the router: the device it runs over, with the neighbour's name where there may be several."""
    name: str
    address: IPAddress
    asn: int
    local_address: IPAddress
    device: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """The configuration of a router's BGP daemon."""

    name: str
    asn: int
    router_id: ipaddress.IPv4Address
    neighbors: tuple[Neighbor, ...]
    networks: tuple[IPNetwork, ...]
    """Announced: the subnets of its segments, and its loopback."""
    host_subnets: tuple[IPNetwork, ...]
    """Where nodes live that may want a session with it."""


def states(wiring: Wiring, given: Addresses) -> dict[str, NetState]:
    """Return what the underlay puts into every namespace, by its name: hosts, switches and routers."""
    return {it.name: state(wiring, given, it.name) for it in wiring.devices}


def state(wiring: Wiring, given: Addresses, name: str) -> NetState:
    """Return what the underlay puts into one namespace."""
    if wiring.device(name).role == "host":
        return frozenset(_host(wiring, given, name))
    return frozenset(_forwarder(wiring, given, name))


def speakers(wiring: Wiring, given: Addresses) -> dict[str, Speaker]:
    """Return what every router's BGP daemon is told, by the router's name."""
    found = segments(wiring)
    return {it.name: _speaker(wiring, given, found, it.name) for it in wiring.of_role("router")}


def owner(role: Role, version: int = 4) -> Owner:
    """The underlay owns all devices, queues and addresses of its switches and routers, and a host's eth0.

    Of a host's eth0 the MTU and the MAC too: the switch at the other end makes it, and sees no more of it.
    """
    sysctls = frozenset(_SYSCTLS[version] if role == "router" else list(_SYSCTLS[version])[:1])
    kinds: frozenset[type] = frozenset({LinkUp, Bridge, Veth, Address, Qdisc, Sysctl})
    if role == "host":
        kinds = frozenset({LinkUp, LinkMtu, LinkMac, Address, Qdisc, Route, Sysctl})
        return Owner("underlay", kinds, _owns_at_host, sysctls)
    return Owner("underlay", kinds, _owns, sysctls)


def mac_of(device: str, port: str) -> str:
    """The MAC of a port: as a network card's it stays over a power-off, so that ARP entries stay right."""
    digest = hashlib.sha1(f"{device}/{port}".encode(), usedforsecurity=False).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _owns(obj: NetObject) -> bool:
    return not isinstance(obj, LinkUp) or obj.dev == "lo"


def _owns_at_host(obj: NetObject) -> bool:
    match obj:
        case LinkUp(dev=dev):
            return dev in ("lo", DEVICE)
        case LinkMtu(dev=dev) | LinkMac(dev=dev) | Address(dev=dev) | Qdisc(dev=dev):
            return dev == DEVICE
        case Route(dst=dst, dev=dev):
            return dst.prefixlen == 0 and dev == DEVICE
    return isinstance(obj, Sysctl)


def _host(wiring: Wiring, given: Addresses, name: str) -> Iterator[NetObject]:
    yield LinkUp("lo")
    is_up = all(link.up for link in wiring.links_of(name))
    if is_up:
        yield LinkUp(DEVICE)
    for link in wiring.links_of(name):
        yield LinkMtu(DEVICE, link.shape.mtu)
        yield LinkMac(DEVICE, mac_of(name, DEVICE))
        yield from _queue(link, DEVICE)
    address = given.hosts.get(name)
    if address is None:
        return
    everything = ipaddress.ip_network("0.0.0.0/0" if address.version == 4 else "::/0")
    forwarding = next(iter(_SYSCTLS[address.version].items()))
    yield Address(address, DEVICE)
    if is_up:
        yield Route(everything, via=given.gateways[name], dev=DEVICE, proto=_STATIC)
    yield Sysctl(*forwarding)


def _forwarder(wiring: Wiring, given: Addresses, name: str) -> Iterator[NetObject]:
    """A switch bridges all its ports, a router those of its hosts."""
    is_router = wiring.device(name).role == "router"
    links = wiring.links_of(name)
    bridged = [it for it in links if not is_router or wiring.device(it.other(name)).role == "host"]
    yield LinkUp("lo")
    if bridged or (name, BRIDGE) in given.ports:
        mtu = min((it.shape.mtu for it in bridged), default=1500)
        yield Bridge(BRIDGE, mtu=mtu, mac=mac_of(name, BRIDGE))
    for link in links:
        here, far = port_name(wiring, link, name), link.other(name)
        there = port_name(wiring, link, far)
        yield Veth(
            here,
            peer=there,
            peer_ns=far,
            mtu=link.shape.mtu,
            mac=mac_of(name, here),
            peer_mac=mac_of(far, there),
            master=BRIDGE if link in bridged else None,
            up=link.up,
        )
        yield from _queue(link, here)
    for device in (BRIDGE, *(port_name(wiring, link, name) for link in links)):
        if (address := given.ports.get((name, device))) is not None:
            yield Address(address, device)
    if is_router and (loopback := given.loopbacks.get(name)):
        yield Address(loopback, "lo")
        yield from (Sysctl(path, value) for path, value in _SYSCTLS[loopback.version].items())


def _queue(link: Link, device: str) -> Iterator[Qdisc]:
    queue = link.shape.qdisc(device)
    if queue is not None:
        yield queue


def _speaker(wiring: Wiring, given: Addresses, found: list[Segment], name: str) -> Speaker:
    neighbors = [_across(wiring, given, name, link) for link in wiring.links_of(name)]
    mine = [it for it in found if name in it.routers]
    for segment in mine:
        neighbors += [_beside(wiring, given, segment, name, it) for it in segment.routers if it != name]
    subnets = [given.subnets[it.name] for it in mine if it.name in given.subnets]
    loopback = given.loopbacks[name].network
    return Speaker(
        name,
        wiring.device(name).asn,
        given.router_ids[name],
        tuple(it for it in neighbors if it is not None),
        (*subnets, loopback),
        tuple(subnets),
    )


def _across(wiring: Wiring, given: Addresses, name: str, link: Link) -> Neighbor | None:
    """The session over a link to another router."""
    far, device = link.other(name), port_name(wiring, link, name)
    if wiring.device(far).role != "router":
        return None
    there = given.ports[far, port_name(wiring, link, far)].ip
    return Neighbor(device, far, there, wiring.device(far).asn, given.ports[name, device].ip, device)


def _beside(wiring: Wiring, given: Addresses, segment: Segment, name: str, other: str) -> Neighbor:
    """The session with a router on the same switches."""
    here, device = _on(wiring, given, segment, name)
    there, _ = _on(wiring, given, segment, other)
    session = f"{device}.{port(other)}"
    return Neighbor(session, other, there, wiring.device(other).asn, here, device)


def _on(wiring: Wiring, given: Addresses, segment: Segment, router: str) -> tuple[IPAddress, str]:
    link = next(it for it in wiring.links_of(router) if it.other(router) in segment.switches)
    device = port_name(wiring, link, router)
    return given.ports[router, device].ip, device
