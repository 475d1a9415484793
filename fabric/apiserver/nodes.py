"""Nodes: allocatable follows capacity, taints are unique, and the pod CIDR is set once."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from fabric.api import names
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
from fabric.apiserver.validation.resources import amounts
from fabric.apiserver.validation.selectors import TAINT_EFFECTS


def defaulted(obj: Object) -> Object:
    """Let `podCIDR` and `podCIDRs` say the same."""
    spec = obj.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        return {**obj, "spec": {**spec, "podCIDRs": [spec["podCIDR"]]}}
    if spec.get("podCIDRs") and not spec.get("podCIDR"):
        return {**obj, "spec": {**spec, "podCIDR": spec["podCIDRs"][0]}}
    return obj


def status_defaulted(obj: Object) -> Object:
    """Fill `allocatable` from the capacity where the node gives none."""
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
    """Faults of taints and of the pod CIDRs."""
    spec = obj.get("spec") or {}
    yield from _taint_faults(spec.get("taints") or ())
    cidrs = spec.get("podCIDRs") or []
    broken = [
        invalid_value(f"spec.podCIDRs[{i}]", cidr, fault)
        for i, cidr in enumerate(cidrs)
        for fault in names.cidr_faults(cidr)
    ]
    yield from broken
    versions = [] if broken else [ip_network(cidr, strict=False).version for cidr in cidrs]
    if len(versions) != len(set(versions)):
        why = "may specify no more than one CIDR for each IP family"
        yield invalid_value("spec.podCIDRs", cidrs, why)
    if cidrs and spec.get("podCIDR") != cidrs[0]:
        why = "must be the first of podCIDRs"
        yield invalid_value("spec.podCIDR", spec.get("podCIDR"), why)


def status_faults(obj: Object) -> Iterator[Cause]:
    """Faults of the amounts that the node has."""
    status = obj.get("status") or {}
    for field in ("capacity", "allocatable"):
        yield from amounts(f"status.{field}", status.get(field) or {})


def _taint_faults(taints: Any) -> Iterator[Cause]:
    seen = set()
    for i, taint in enumerate(taints):
        at, key, effect = f"spec.taints[{i}]", taint.get("key", ""), taint.get("effect", "")
        for field, rule in (("key", names.qualified_name_faults), ("value", names.label_value_faults)):
            text = taint.get(field, "")
            yield from (invalid_value(f"{at}.{field}", text, fault) for fault in rule(text))
        if not effect:
            yield required(f"{at}.effect")
        elif effect not in TAINT_EFFECTS:
            yield not_supported(f"{at}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            yield duplicate(at, taint)
        seen.add((key, effect))


def update_faults(new: Object, old: Object) -> Iterator[Cause]:
    """The pod CIDR and provider id may be set, and then not changed."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for field, name in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(field) and after.get(field) != before[field]:
            why = f'node updates may not change {name} except from "" to valid'
            yield forbidden_field(f"spec.{field}", why)
