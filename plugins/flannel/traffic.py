"""Masquerade and forward rules: what leaves the pod network gets the node's address.

nat POSTROUTING ends in a jump to FLANNEL-POSTRTG. Whatever stays inside the pod network returns before
the two masquerades; the order is the meaning. filter FORWARD ends in a jump to FLANNEL-FWD, which
accepts the pod network, as a default policy of DROP (Docker's) would not. The text is what
iptables-save 1.8.9 prints, with both of its kernel sides.
"""

from __future__ import annotations

from collections.abc import Iterable

from fabric.netstate.marks import KUBE_MASQUERADE
from fabric.netstate.objects import Chain, Family, IPNetwork, Jump, NetState, Rule

ORIGIN = "flannel"
MASQ_CHAIN = "FLANNEL-POSTRTG"
FORWARD_CHAIN = "FLANNEL-FWD"
_MASQ = '-m comment --comment "flanneld masq"'
_FORWARD = '-m comment --comment "flanneld forward"'
_MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}


def desired_state(networks: Iterable[IPNetwork], subnets: Iterable[IPNetwork]) -> NetState:
    """Return the chains and jumps of a node that owns `subnets` in the pod `networks`, by family."""
    pairs = [(net, sub) for net in networks for sub in subnets if net.version == sub.version]
    return frozenset(obj for net, sub in pairs for obj in (*_masquerade(net, sub), *_forward(net)))


def _masquerade(network: IPNetwork, subnet: IPNetwork) -> tuple[Chain, Jump]:
    family: Family = 4 if network.version == 4 else 6
    rules = (
        f"-m mark --mark {KUBE_MASQUERADE} {_MASQ} -j RETURN",
        f"-s {subnet} -d {network} {_MASQ} -j RETURN",
        f"-s {network} -d {subnet} {_MASQ} -j RETURN",
        # Traffic from outside to a pod of this node keeps its source: it comes back through this node anyway.
        f"! -s {network} -d {subnet} {_MASQ} -j RETURN",
        f"-s {network} ! -d {_MULTICAST[family]} {_MASQ} -j MASQUERADE --random-fully",
        f"! -s {network} -d {network} {_MASQ} -j MASQUERADE --random-fully",
    )
    jump = Jump("nat", "POSTROUTING", Rule(_MASQ, f"-j {MASQ_CHAIN}", ORIGIN), "append", family)
    return Chain.parse("nat", MASQ_CHAIN, rules, family, ORIGIN), jump


def _forward(network: IPNetwork) -> tuple[Chain, Jump]:
    family: Family = 4 if network.version == 4 else 6
    rules = (f"-s {network} {_FORWARD} -j ACCEPT", f"-d {network} {_FORWARD} -j ACCEPT")
    jump = Jump("filter", "FORWARD", Rule(_FORWARD, f"-j {FORWARD_CHAIN}", ORIGIN), "append", family)
    return Chain.parse("filter", FORWARD_CHAIN, rules, family, ORIGIN), jump
