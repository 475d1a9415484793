"""The choice of pools for one address.

Pools that are asked for by CIDR are used in the order asked, whatever their selectors say: each of them
must exist and be enabled. Without such a wish a pool must select the node and the namespace, and give out
addresses by itself (assignmentMode). In both cases it must be meant for the use (allowedUses).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from calico.resources.pools import IPPool, IPPoolSpec
from calico.selector import Selector
from fabric.errors import FabricError
from fabric.netstate.objects import Family, IPAddress, IPNetwork

Labels = Mapping[str, str]


class NoPool(FabricError):
    """No pool qualifies; the message says why each one does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRequest:
    """A request for addresses."""

    family: Family = 4
    count: int = 1
    use: str = "Workload"
    """Workload, Tunnel or LoadBalancer."""
    pools: tuple[IPNetwork, ...] = ()
    """Only from pools with these CIDRs, in this order; empty leaves it to the pools' selectors."""
    namespace_labels: Labels = field(default_factory=dict)
    """Labels of the pod's namespace; what has no namespace (a tunnel) has none."""


ANY = PoolRequest()


def usable(pools: Iterable[IPPool], wish: PoolRequest, node_labels: Labels) -> tuple[IPPoolSpec, ...]:
    """The pools that fit, in the order asked or else given; NoPool when there is none."""
    listed = _asked_for(tuple(pools), wish) if wish.pools else tuple(pools)
    judged = [(pool, _objection(pool.spec, wish, node_labels)) for pool in listed]
    fit = tuple(pool.spec for pool, objection in judged if not objection)
    if not fit:
        why = "; ".join(f"{pool.name} ({pool.spec.cidr}): {objection}" for pool, objection in judged)
        raise NoPool(f"no IPPool for an IPv{wish.family} {wish.use} address: {why or 'there are no pools'}")
    return fit


def selects(spec: IPPoolSpec, node_labels: Labels) -> bool:
    """Whether the pool's nodeSelector matches a node with these labels."""
    return _matches(spec.node_selector, node_labels)


def selected(pools: Iterable[IPPool], node_labels: Labels) -> tuple[IPPoolSpec, ...]:
    """The enabled pools that select the node."""
    return tuple(pool.spec for pool in pools if not pool.spec.disabled and selects(pool.spec, node_labels))


def pool_of(pools: Sequence[IPPool], address: IPAddress) -> IPPoolSpec | None:
    """The enabled pool in which an address lies, or None."""
    return next((pool.spec for pool in pools if not pool.spec.disabled and address in pool.spec.cidr), None)


def _asked_for(pools: Sequence[IPPool], wish: PoolRequest) -> tuple[IPPool, ...]:
    """The pools asked for, in that order; NoPool when one is not there or not enabled."""
    enabled = {pool.spec.cidr: pool for pool in pools if not pool.spec.disabled}
    for cidr in wish.pools:
        if cidr not in enabled:
            there = ", ".join(f"{pool.name} ({cidr})" for cidr, pool in enabled.items()) or "none"
            raise NoPool(f"the given pool ({cidr}) does not exist, or is not enabled; enabled: {there}")
    return tuple(enabled[cidr] for cidr in wish.pools)


def _objection(spec: IPPoolSpec, wish: PoolRequest, node_labels: Labels) -> str:
    """Why the pool does not fit, or nothing."""
    if spec.family != wish.family:
        return f"is IPv{spec.family}"
    if spec.disabled:
        return "is disabled"
    if wish.use not in spec.allowed_uses:
        return f"allowedUses has no {wish.use}"
    return "" if wish.pools else _unasked(spec, wish, node_labels)


def _unasked(spec: IPPoolSpec, wish: PoolRequest, node_labels: Labels) -> str:
    if spec.assignment_mode != "Automatic":
        return f"assignmentMode is {spec.assignment_mode}"
    if not selects(spec, node_labels):
        return f"nodeSelector {spec.node_selector} does not select the node"
    text = spec.namespace_selector
    if text and not _matches(text, wish.namespace_labels):
        return f"namespaceSelector {text} does not select the namespace"
    return ""


def _matches(text: str, labels: Labels) -> bool:
    return Selector.parse(text).matches(labels)
