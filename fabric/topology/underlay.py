"""The wires between the nodes, as data: what every namespace of the underlay must have.

A frame from node-1 to node-2 leaves node-1's `eth0`, enters the namespace `switch` at the port named
after node-1, crosses the bridge `br0`, and comes out of node-2's `eth0`. The bridge's own address is the
gateway: every node has a default route, as on a real network, although nothing lies behind it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from itertools import chain

from fabric.netstate.objects import (
    Address,
    Bridge,
    IPAddress,
    IPInterface,
    IPNetwork,
    LinkUp,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Veth,
)
from fabric.netstate.port import Owner
from fabric.topology.model import Underlay

SWITCH = "switch"
CONTROL_PLANE = "control-plane"
BRIDGE = "br0"
DEVICE = "eth0"
FIRST_NODE = 11
"""node-1 gets the subnet's eleventh address: x.x.0.11."""
_GATEWAY, _CONTROL_PLANE = 1, 2
_DEVICE_NAME_MAX = 15
_NO_PORT = frozenset({"lo", BRIDGE, "all", "default"})
"""Names that a namespace has for something else."""


def gateway(underlay: Underlay) -> IPInterface:
    return _interface(underlay.subnet, _GATEWAY)


def control_plane(underlay: Underlay) -> IPInterface:
    """The address where pods reach the API server."""
    return _interface(underlay.subnet, _CONTROL_PLANE)


def assign(
    subnet: IPNetwork, names: Iterable[str], taken: Mapping[str, IPInterface]
) -> dict[str, IPInterface]:
    """Give every name an address of the subnet; a name that has one in `taken` keeps it.

    `node-7` gets the seventh node address where that is free, so that names and addresses go together.
    """
    wanted = list(names)
    kept = {name: taken[name] for name in wanted if name in taken and taken[name].network == subnet}
    used = {address.ip for address in kept.values()}
    assigned = dict(kept)
    for name in sorted((n for n in wanted if n not in kept), key=_by_number):
        number = _by_number(name)[0]
        candidates = [number - 1] if 0 < number < subnet.num_addresses - FIRST_NODE else []
        for offset in chain(candidates, range(subnet.num_addresses - FIRST_NODE - 1)):
            address = _interface(subnet, FIRST_NODE + offset)
            if address.ip not in used and address.ip != subnet.broadcast_address:
                used.add(address.ip)
                assigned[name] = address
                break
    return {name: assigned[name] for name in wanted if name in assigned}


def port(host: str) -> str:
    """Name of the switch's port for a host: its own name where a device can be called so."""
    if len(host) <= _DEVICE_NAME_MAX and host not in _NO_PORT:
        return host
    return f"p{hashlib.sha1(host.encode()).hexdigest()[: _DEVICE_NAME_MAX - 1]}"


def switch_state(underlay: Underlay, hosts: Iterable[str]) -> NetState:
    """What the namespace of the switch has: the bridge, and one port for each host."""
    ports: list[NetObject] = [
        Veth(port(host), peer=DEVICE, peer_ns=host, mtu=underlay.mtu, master=BRIDGE) for host in hosts
    ]
    bridge = Bridge(BRIDGE, mtu=underlay.mtu)
    return frozenset([LinkUp("lo"), bridge, Address(gateway(underlay), BRIDGE), *ports])


def host_state(underlay: Underlay, address: IPInterface) -> NetState:
    """What the underlay gives a node: its device raised, an address, a default route, forwarding."""
    version = address.version
    forwarding = "net/ipv4/ip_forward" if version == 4 else "net/ipv6/conf/all/forwarding"
    default = ipaddress.ip_network("0.0.0.0/0" if version == 4 else "::/0")
    return frozenset(
        [
            LinkUp("lo"),
            LinkUp(DEVICE),
            Address(address, DEVICE),
            Route(default, via=gateway(underlay).ip, dev=DEVICE, proto=4),
            Sysctl(forwarding, "1"),
        ]
    )


def owner() -> Owner:
    """The underlay owns its bridge and ports, the address of eth0 and the default route over it."""
    return Owner(
        name="underlay",
        kinds=frozenset({LinkUp, Bridge, Veth, Address, Route, Sysctl}),
        owns=_owns,
        sysctls=frozenset({"net/ipv4/ip_forward"}),
    )


def _owns(obj: NetObject) -> bool:
    match obj:
        case Bridge(name=name):
            return name == BRIDGE
        case Veth(peer=peer, master=master):
            return peer == DEVICE and master == BRIDGE
        case LinkUp(dev=dev):
            return dev in ("lo", DEVICE)
        case Address(dev=dev):
            return dev in (BRIDGE, DEVICE)
        case Route(dst=dst, dev=dev):
            return dst.prefixlen == 0 and dev == DEVICE
        case Sysctl():
            return True
    return False


def _interface(subnet: IPNetwork, index: int) -> IPInterface:
    address: IPAddress = subnet[index]
    return ipaddress.ip_interface(f"{address}/{subnet.prefixlen}")


def _by_number(name: str) -> tuple[int, str]:
    tail = name.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 0, name)
