"""Felix's objects on a node are known by protocol number, prefix and the names of the tunnels.

The routes and veths of pods (`cali…`, or as interfacePrefix says) are the kubelet's, which makes and repairs
them; any other route over such a device is Felix's to remove (removeExternalRoutes). BIRD owns its routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from calico.encapsulation import TUNL0
from calico.felix import tunnels
from calico.felix.routes import ROUTE_PROTOCOL
from calico.felix.stand_ins import stand_in
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

_VXLAN = frozenset({tunnels.device(4), tunnels.device(6)})
_DEVICES = _VXLAN | {TUNL0}
KERNEL, BIRD = 2, 12
_HASHED = re.compile(r"--comment \"?cali:[\w-]{16}\b")
"""The comment of every rule of Felix's, in the kernel's own chains too."""


@dataclass(frozen=True)
class RouteOwnership:
    """The rules by which a route that is on no device of Felix's is Felix's all the same."""

    protocols: Callable[[], frozenset[int]] = lambda: frozenset({ROUTE_PROTOCOL})
    """Of routes over other devices than Felix's own."""
    is_of_pod: Callable[[str], bool] = lambda device: device.startswith(INTERFACE_PREFIX)
    """True for the name of a pod's device."""
    is_external: Callable[[Route], bool] = lambda route: False
    """True for a route over a pod's device that is to be removed."""
    is_disabled: Callable[[], bool] = lambda: False
    """True where no route is Felix's (routeSyncDisabled), be it of its own making."""


def owner(told: RouteOwnership | None = None) -> Owner:
    """The owner of everything that Felix makes on a node."""
    kinds = frozenset({Vxlan, Ipip, Tun, Address, Route, Neighbor, FdbEntry, IpSet, Chain, Jump})
    asked = told or RouteOwnership()
    return Owner("felix", kinds, lambda obj: _owns(obj, asked), stand_in=stand_in)


def _owns(obj: NetObject, told: RouteOwnership) -> bool:
    match obj:
        case Route():
            return not told.is_disabled() and _owns_route(obj, told)
        case Vxlan(name=name) | Ipip(name=name) | Tun(name=name):
            return name in _DEVICES
        case Address(dev=dev) | Neighbor(dev=dev) | FdbEntry(dev=dev):
            return dev in _DEVICES
        case IpSet(name=name):
            return name.startswith("cali")
        case Chain(name=name):
            return name.startswith("cali-")
        case Jump(rule=rule):
            return rule.target.startswith("cali-") or _HASHED.search(rule.match) is not None
    return False


def _owns_route(route: Route, told: RouteOwnership) -> bool:
    device = route.dev or ""
    if told.is_of_pod(device):
        return route.proto not in (KERNEL, BIRD) and told.is_external(route)
    if device in _VXLAN:
        return route.proto not in (KERNEL, BIRD)
    return route.proto in told.protocols()
