"""Taints of nodes: those that the conditions call for, and the time for which a pod tolerates them.

Pure. The taints listed here belong to the node lifecycle controller, which keeps them in line with
the node; all others are the user's and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from fabric.api.objects import SECONDS_MAX, Object, condition, parse_timestamp, timestamp

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

_FOR_EVER = datetime.max.replace(tzinfo=UTC)
_READY_TAINTS = {
    "True": (),
    "False": ((NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")),
    "Unknown": ((UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")),
}
_WHEN_TRUE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": NETWORK_UNAVAILABLE,
}
_OWN = {
    (NOT_READY, "NoSchedule"),
    (UNREACHABLE, "NoSchedule"),
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoExecute"),
    (UNSCHEDULABLE, "NoSchedule"),
    *((key, "NoSchedule") for key in _WHEN_TRUE.values()),
}


def desired_taints(node: Object, now: datetime) -> list[Object]:
    """The node's taints as they should be: users' as they stand, then those its conditions call for.

    A taint that stands already is kept as it is, with the time at which it was added. A NoExecute taint
    without a time (`kubectl taint` gives none) is given the present one, from which tolerations count.
    """
    standing = {_identity(taint): taint for taint in taints_of(node)}
    kept = [_timed(taint, now) for identity, taint in standing.items() if identity not in _OWN]
    wanted = [
        _timed(
            standing.get((key, effect)) or {"key": key, "effect": effect, "timeAdded": timestamp(now)}, now
        )
        for key, effect in _called_for(node)
    ]
    return kept + wanted


def taints_of(node: Object) -> Sequence[Object]:
    return (node.get("spec") or {}).get("taints") or ()


def same_taints(one: Iterable[Object], other: Iterable[Object]) -> bool:
    """True when both hold the same taints, in whatever order."""
    return {_identity(t): t for t in one} == {_identity(t): t for t in other}


def eviction_time(pod: Object, node: Object, now: datetime) -> datetime | None:
    """Return when the pod must leave the node for its NoExecute taints; None: it may stay.

    The time that a toleration grants counts from when the pod met the taint: from the taint's timeAdded, or
    from the pod's binding if that came later. A taint without a timeAdded is met now; the node lifecycle
    controller is about to write the time down, so that it is the same after a restart.
    """
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    bound = _bound_at(pod)
    ends = []
    for taint in taints_of(node):
        if taint.get("effect") != "NoExecute":
            continue
        since = max(parse_timestamp(taint["timeAdded"]), bound) if taint.get("timeAdded") else now
        granted = [t.get("tolerationSeconds") for t in tolerations if tolerates(t, taint)]
        if not granted:
            ends.append(min(since, now))
            continue
        limits = [max(0, seconds) for seconds in granted if seconds is not None]
        if limits:
            ends.append(_later(since, min(*limits, SECONDS_MAX)))
    return min(ends, default=None)


def _later(since: datetime, seconds: float) -> datetime:
    """The time so much later, or the last one of all: a taint may be from the year 9999."""
    try:
        return since + timedelta(seconds=seconds)
    except OverflowError:
        return _FOR_EVER


def _timed(taint: Object, now: datetime) -> Object:
    if taint.get("effect") != "NoExecute" or taint.get("timeAdded"):
        return taint
    return {**taint, "timeAdded": timestamp(now)}


def _bound_at(pod: Object) -> datetime:
    """The moment of the binding; the pod's creation when nothing tells it."""
    scheduled = condition(pod, "PodScheduled") or {}
    since = scheduled.get("lastTransitionTime") if scheduled.get("status") == "True" else None
    return parse_timestamp(since or pod["metadata"]["creationTimestamp"])


def tolerates(toleration: Object, taint: Object) -> bool:
    """True when the toleration matches the taint; an empty key or effect matches all."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def _called_for(node: Object) -> Iterable[tuple[str, str]]:
    ready = condition(node, "Ready")
    # A node that never said anything is kept free of pods; it has none to evict.
    said = "" if ready is None else ready.get("status", "")
    by_ready = _READY_TAINTS.get(said, ()) if said else ((NOT_READY, "NoSchedule"),)
    by_condition = (
        (key, "NoSchedule")
        for type_, key in _WHEN_TRUE.items()
        if (found := condition(node, type_)) is not None and found.get("status") == "True"
    )
    by_user = ((UNSCHEDULABLE, "NoSchedule"),) * bool((node.get("spec") or {}).get("unschedulable"))
    return chain(by_ready, by_condition, by_user)


def _identity(taint: Object) -> tuple[str, str]:
    return taint.get("key", ""), taint.get("effect", "")
