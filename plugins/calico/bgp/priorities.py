"""Priorities of routes, as BGPFilters match and set them.

A priority is what the kernel calls a metric: the lower wins, and 1024 is everybody's. BGP carries it as the
local preference, of which the higher wins, so that it reaches every node of the AS: preference = 2^31 - 1 -
priority. Where no filter of the cluster speaks of priorities none of this is written, and the preference is
BGP's usual 100.
"""

from __future__ import annotations

from collections.abc import Iterable

from calico.resources.bgp_filters import BGPFilter, FilterRule

NORMAL = 1024
PREFERENCE_MAX = 2**31 - 1
OVERRIDING = 200
"""BIRD's preference of a route that comes before this node's own (BGP has 100, the kernel's routes 10)."""


def preference(priority: int) -> int:
    """The local preference that carries a priority."""
    return PREFERENCE_MAX - priority


def in_use(filters: Iterable[BGPFilter]) -> bool:
    """True where some filter matches or sets a priority."""
    return any(_speaks_of_it(rule) for it in filters for rule in rules(it))


def rules(filter_: BGPFilter) -> tuple[FilterRule, ...]:
    """The rules of both directions and families."""
    spec = filter_.spec
    return (*spec.import_v4, *spec.export_v4, *spec.import_v6, *spec.export_v6)


def _speaks_of_it(rule: FilterRule) -> bool:
    sets = any(isinstance(operation, dict) and "setPriority" in operation for operation in rule.operations)
    return rule.priority is not None or sets


IMPORT = f"if bgp_local_pref > {preference(NORMAL)} then preference = {OVERRIDING};"
"""After the filters of an import: what they raised above the normal comes before this node's own routes."""

EXPORT = f"if source != RTS_BGP then bgp_local_pref = {preference(NORMAL)};"
"""Before the filters of an export: this node's own routes have the normal priority."""

KERNEL = (
    f"if source = RTS_BGP && bgp_local_pref > {2**30} && bgp_local_pref != {preference(NORMAL)} then\n"
    f"    krt_metric = {PREFERENCE_MAX} - bgp_local_pref;"
)
"""In the kernel's filter: a priority that a filter set is the route's metric; every other route has none, as
the kernel protocol's `metric 0` says."""
