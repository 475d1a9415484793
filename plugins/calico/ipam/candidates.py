"""Which pools an address may come from.

Pools that are asked for by CIDR need only be there, enabled and meant for the use; otherwise a pool must
select the node and the namespace and give out addresses by itself.
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
class Wish:
    """What is asked of the IPAM."""

    family: Family = 4
    count: int = 1
    use: str = "Workload"
    """Workload, Tunnel or LoadBalancer."""
    pools: tuple[IPNetwork, ...] = ()
    """Only from pools with these CIDRs; empty leaves it to the pools' selectors."""
    namespace_labels: Labels | None = field(default=None)
    """Labels of the pod's namespace; None for what has no namespace (a tunnel)."""


ANY = Wish()


def usable(pools: Iterable[IPPool], wish: Wish, node_labels: Labels) -> tuple[IPPoolSpec, ...]:
    """The pools that fit, in the order given; NoPool when there is none."""
    listed = tuple(pools)
    judged = [(pool, _objection(pool.spec, wish, node_labels)) for pool in listed]
    fit = tuple(pool.spec for pool, objection in judged if not objection)
    if not fit:
        why = "; ".join(f"{pool.name} ({pool.spec.cidr}): {objection}" for pool, objection in judged)
        raise NoPool(f"no IPPool for an IPv{wish.family} {wish.use} address: {why or 'there are no pools'}")
    return fit


def selected(pools: Iterable[IPPool], node_labels: Labels) -> tuple[IPPoolSpec, ...]:
    """The enabled pools that select the node."""
    return tuple(p.spec for p in pools if not p.spec.disabled and _matches(p.spec.node_selector, node_labels))


def pool_of(pools: Sequence[IPPool], address: IPAddress) -> IPPoolSpec | None:
    """The enabled pool in which an address lies, or None."""
    return next((pool.spec for pool in pools if not pool.spec.disabled and address in pool.spec.cidr), None)


def _objection(spec: IPPoolSpec, wish: Wish, node_labels: Labels) -> str:
    """Why the pool does not fit, or nothing."""
    if spec.family != wish.family:
        return f"is IPv{spec.family}"
    if wish.pools and spec.cidr not in wish.pools:
        return "was not asked for"
    if spec.disabled:
        return "is disabled"
    if wish.use not in spec.allowed_uses:
        return f"allowedUses has no {wish.use}"
    return "" if wish.pools else _unasked(spec, wish, node_labels)


def _unasked(spec: IPPoolSpec, wish: Wish, node_labels: Labels) -> str:
    if spec.assignment_mode != "Automatic":
        return f"assignmentMode is {spec.assignment_mode}"
    if not _matches(spec.node_selector, node_labels):
        return f"nodeSelector {spec.node_selector} does not select the node"
    labels, text = wish.namespace_labels, spec.namespace_selector
    if text and labels is not None and not _matches(text, labels):
        return f"namespaceSelector {text} does not select the namespace"
    return ""


def _matches(text: str, labels: Labels) -> bool:
    return Selector.parse(text).matches(labels)
