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
    """Fill spec and status, and let `podCIDR` and `podCIDRs` say the same."""
    spec, status = obj.get("spec", {}), obj.get("status", {})
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec = {**spec, "podCIDRs": [spec["podCIDR"]]}
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec = {**spec, "podCIDR": spec["podCIDRs"][0]}
    amounts = {
        field: amounts_as_text(status[field]) for field in ("capacity", "allocatable") if field in status
    }
    if any(amounts[field] is not status[field] for field in amounts):
        status = {**status, **amounts}
    if status.get("capacity") and not status.get("allocatable"):
        status = {**status, "allocatable": status["capacity"]}
    if spec is obj.get("spec") and status is obj.get("status"):
        return obj
    return {**obj, "spec": spec, "status": status}


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
