"""The list of a pod's conditions: ours renewed, everybody else's kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fabric.api.objects import Object, observed, timestamp
from fabric.kubelet.podspec import spec_of

Facts = Mapping[str, tuple[bool, str, str]]
"""Condition type -> (holds, reason, message)."""


def pod_conditions(pod: Object, before: Object, facts: Facts, now: datetime) -> list[Object]:
    """Return all conditions: `facts` first, with readiness gates taken into account, then those of others."""
    standing = {entry.get("type", ""): entry for entry in before.get("conditions") or ()}
    ours = dict(facts)
    ours["Ready"] = _gated(pod, ours["Ready"], standing)
    scheduled = standing.get("PodScheduled") or _condition("PodScheduled", (True, "", ""), None, now)
    conditions = [_condition(type_, fact, standing.get(type_), now) for type_, fact in ours.items()]
    others = [entry for type_, entry in standing.items() if type_ not in ours and type_ != "PodScheduled"]
    return [*(observed(pod, entry) for entry in (*conditions, scheduled)), *others]


def _gated(
    pod: Object, ready: tuple[bool, str, str], standing: Mapping[str, Object]
) -> tuple[bool, str, str]:
    """A pod is Ready when its containers are and every readiness gate's condition is True."""
    gates = [gate["conditionType"] for gate in spec_of(pod).get("readinessGates") or ()]
    shut = [gate for gate in gates if (standing.get(gate) or {}).get("status") != "True"]
    if not ready[0] or not shut:
        return ready
    messages = (
        f'corresponding condition of pod readiness gate "{gate}" does not exist or is not True.'
        for gate in shut
    )
    return (False, "ReadinessGatesNotReady", " ".join(messages))


def _condition(type_: str, fact: tuple[bool, str, str], standing: Object | None, now: datetime) -> Object:
    holds, reason, message = fact
    status = "True" if holds else "False"
    since = standing.get("lastTransitionTime") if standing and standing.get("status") == status else None
    condition: Object = {
        "type": type_,
        "status": status,
        "lastTransitionTime": since or timestamp(now),
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
