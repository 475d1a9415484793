"""Ownership: an object of a node is flannel's by the name of its device, chain or bridge, or by its route.

The veths of pods are not: the kubelet makes and repairs those.
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.netstate.objects import (
    MAIN_TABLE,
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IPNetwork,
    Jump,
    Neighbor,
    NetObject,
    Route,
    Sysctl,
    Vxlan,
)
from fabric.netstate.port import Owner
from flannel.cni import BRIDGE, FORWARDING
from flannel.net_conf import NetConf
from flannel.vxlan import accept_ra

KINDS = frozenset({Bridge, Vxlan, Address, Route, Neighbor, FdbEntry, Sysctl, Chain, Jump})
ROUTE_PROTOCOL = 3
"""boot: what flannel's routes have. Under Canal those of pods have it too, and are Calico's."""
CALICO_PODS = "cali"
_DEVICES = ("flannel.", "flannel-v6.")


def owner(conf: NetConf, before: Sequence[IPNetwork] = ()) -> Owner:
    """The owner of everything that flannel makes on a node, whatever backend made it.

    `before` are pod networks of an older configuration, whose routes must go.
    """
    networks = frozenset((*conf.networks, *before))
    return Owner("flannel", KINDS, lambda obj: _owns(obj, networks), _sysctls(conf))


def _owns(obj: NetObject, networks: frozenset[IPNetwork]) -> bool:
    match obj:
        case Bridge(name=name):
            return name == BRIDGE
        case Vxlan(name=name):
            return name.startswith(_DEVICES)
        case Address(dev=dev):
            return dev == BRIDGE or dev.startswith(_DEVICES)
        case Neighbor(dev=dev) | FdbEntry(dev=dev):
            return dev.startswith(_DEVICES)
        case Route(dst=dst, dev=dev, table=table, proto=proto):
            is_pods = (dev or "").startswith(CALICO_PODS)
            ours = table == MAIN_TABLE and proto == ROUTE_PROTOCOL and not is_pods
            return ours and any(_inside(dst, network) for network in networks)
        case Chain(name=name):
            return name.startswith("FLANNEL-")
        case Jump(rule=rule):
            return rule.target.startswith("FLANNEL-")
        case _:
            return isinstance(obj, Sysctl)


def _inside(dst: IPNetwork, network: IPNetwork) -> bool:
    return dst.version == network.version and dst.subnet_of(network)  # type: ignore[arg-type]


def _sysctls(conf: NetConf) -> frozenset[str]:
    families = {range_.family for range_ in conf.ranges}
    forwarding = {FORWARDING[family] for family in families}
    return frozenset(forwarding | ({accept_ra(conf)} if "VNI" in conf.options and 6 in families else set()))
