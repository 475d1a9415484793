"""What on a node is Felix's: by protocol number, prefix and the names of the two tunnels.

The routes and veths of pods (`cali…`) are not: the kubelet makes and repairs those. BIRD's are its own.
"""

from __future__ import annotations

from calico.encapsulation import TUNL0
from calico.endpoints import ROUTE_PROTOCOL
from calico.felix import tunnels
from calico.resources.endpoints import INTERFACE_PREFIX
from fabric.netstate.objects import (
    Address,
    Chain,
    FdbEntry,
    Ipip,
    IpSet,
    Jump,
    Neighbor,
    NetObject,
    Route,
    Tun,
    Vxlan,
)
from fabric.netstate.port import Owner

_DEVICES = frozenset({TUNL0, tunnels.device(4), tunnels.device(6)})


def owner() -> Owner:
    """The owner of everything that Felix makes on a node."""
    kinds = frozenset({Vxlan, Ipip, Tun, Address, Route, Neighbor, FdbEntry, IpSet, Chain, Jump})
    return Owner("felix", kinds, _owns)


def _owns(obj: NetObject) -> bool:
    match obj:
        case Vxlan(name=name) | Ipip(name=name) | Tun(name=name):
            return name in _DEVICES
        case Address(dev=dev) | Neighbor(dev=dev) | FdbEntry(dev=dev):
            return dev in _DEVICES
        case Route(proto=proto, dev=dev):
            return proto == ROUTE_PROTOCOL and not (dev or "").startswith(INTERFACE_PREFIX)
        case IpSet(name=name):
            return name.startswith("cali")
        case Chain(name=name):
            return name.startswith("cali-")
        case Jump(rule=rule):
            return rule.target.startswith("cali-")
    return False
