"""Nodes: allocatable follows capacity, taints are unique, and the pod CIDR is set once."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from fabric.api.objects import Object
from fabric.apiserver.pod_defaults import amounts_as_text
from fabric.apiserver.refusals import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)

TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def defaulted(obj: Object) -> Object:
    """Let `podCIDR` and `podCIDRs` say the same."""
    spec = obj.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        return {**obj, "spec": {**spec, "podCIDRs": [spec["podCIDR"]]}}
    if spec.get("podCIDRs") and not spec.get("podCIDR"):
        return {**obj, "spec": {**spec, "podCIDR": spec["podCIDRs"][0]}}
    return obj


def status_defaulted(obj: Object) -> Object:
    """What can be allocated is the capacity, unless the node says less."""
    status = obj.get("status") or {}
    amounts = {
        field: amounts_as_text(status[field]) for field in ("capacity", "allocatable") if field in status
    }
    if amounts.get("capacity") and not amounts.get("allocatable"):
        amounts["allocatable"] = amounts["capacity"]
    if all(amounts[field] is status.get(field) for field in amounts):
        return obj
    return {**obj, "status": {**status, **amounts}}


def faults(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from _taint_faults(spec.get("taints") or ())
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        try:
            ip_network(cidr)
        except ValueError:
            yield invalid_value(
                f"spec.podCIDRs[{i}]", cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            )


def _taint_faults(taints: Any) -> Iterator[Cause]:
    seen = set()
    for i, taint in enumerate(taints):
        at = f"spec.taints[{i}]"
        if not taint.get("key"):
            yield required(f"{at}.key")
        if taint.get("effect") not in TAINT_EFFECTS:
            yield not_supported(f"{at}.effect", taint.get("effect", ""), TAINT_EFFECTS)
        identity = (taint.get("key"), taint.get("effect"))
        if identity in seen:
            yield duplicate(at, taint)
        seen.add(identity)


def update_faults(new: Object, old: Object) -> Iterator[Cause]:
    """The pod CIDR and provider id may be set, and then not changed."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for field in ("podCIDR", "podCIDRs", "providerID"):
        if before.get(field) and after.get(field) != before[field]:
            yield forbidden_field(f"spec.{field}", "node updates may only change labels, taints, or capacity")
