"""The rule by which BIRD prefers its best route to a network over another one.

The order is BIRD's (doc/prog, `rte_better` and `bgp_rte_better`): the protocol's preference; for two of BGP
whether the next hop can be reached, local preference, the length of the AS path, the origin, MED among routes
of one neighbour AS, external before internal, the cost to the next hop, the lower router id, the lower
address. What a reflector sent has the originator's id, and a longer cluster list loses.
"""

from __future__ import annotations

from fabric.bird.routes import BirdRoute

EQUAL = "equal in all; the lower router id wins"
_ORIGINS = ("IGP", "EGP", "Incomplete")


def why_lost(best: BirdRoute, other: BirdRoute, best_is_external: bool, other_is_external: bool) -> str:
    """A sentence; "" where nothing tells them apart and both go into one route (ECMP)."""
    if other.preference != best.preference:
        return f"preference {other.preference}, {best.protocol} has {best.preference}"
    if not _is_bgp(best) or not _is_bgp(other):
        return f"{best.protocol} was there before"
    for reason in (
        _is_unreachable(other),
        _lower("local preference", other.local_preference, best.local_preference),
        _longer(other, best),
        _worse_origin(other, best),
        _higher_med(other, best),
        f"internal, {best.protocol} is external" if best_is_external and not other_is_external else "",
        _costlier(other, best),
    ):
        if reason:
            return reason
    same_way = other.bgp_next_hop == best.bgp_next_hop
    return f"the same way as {best.protocol}" if same_way else ""


def _is_bgp(route: BirdRoute) -> bool:
    return route.type.startswith("BGP") or bool(route.attribute("BGP.origin"))


def _is_unreachable(route: BirdRoute) -> str:
    return f"next hop {route.bgp_next_hop} cannot be reached" if route.kind == "unreachable" else ""


def _lower(what: str, value: int | None, than: int | None) -> str:
    return f"{what} {value or 0} is lower than {than or 0}" if (value or 0) < (than or 0) else ""


def _longer(other: BirdRoute, best: BirdRoute) -> str:
    its, least = len(other.as_path), len(best.as_path)
    return f"AS path of {its} is longer than {least}" if its > least else ""


def _worse_origin(other: BirdRoute, best: BirdRoute) -> str:
    its, least = other.attribute("BGP.origin"), best.attribute("BGP.origin")
    known = its in _ORIGINS and least in _ORIGINS
    return (
        f"origin {its} comes after {least}" if known and _ORIGINS.index(its) > _ORIGINS.index(least) else ""
    )


def _higher_med(other: BirdRoute, best: BirdRoute) -> str:
    if other.as_path[:1] != best.as_path[:1]:
        return ""
    its, least = (int(route.attribute("BGP.med") or 0) for route in (other, best))
    return f"MED {its} is higher than {least}" if its > least else ""


def _costlier(other: BirdRoute, best: BirdRoute) -> str:
    if not other.metric.isdecimal() or not best.metric.isdecimal() or int(other.metric) <= int(best.metric):
        return ""
    return f"cost {other.metric} to its next hop is higher than {best.metric}"
