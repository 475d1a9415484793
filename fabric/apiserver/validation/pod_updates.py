"""The rules of updates of a pod and its status (ValidatePodUpdate, ValidatePodStatusUpdate)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, forbidden_field, invalid_value, shown
from fabric.apiserver.validation.rules import each, ip_or_none, label_key

SELECTABLE = frozenset(
    {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    }
)
"""Fields that a field selector may name."""

_CHANGEABLE = frozenset({"activeDeadlineSeconds", "tolerations", "schedulingGates"})
_GRACE = "terminationGracePeriodSeconds"
CHANGES_TOLD_MAX = 10
_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def faults(new: Object, old: Object) -> Iterator[Cause]:
    """Return the faults of changes that a specification may not have."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before is after or before == after:
        return
    lists = [
        name
        for name in ("containers", "initContainers")
        if len(before.get(name) or ()) != len(after.get(name) or ())
    ]
    for name in lists:
        yield forbidden_field(f"spec.{name}", "pod updates may not add or remove containers")
    if lists:
        return
    yield from _deadline(before, after)
    yield from _tolerations(before, after)
    yield from _gates(before, after)
    changeable = _CHANGEABLE
    if before.get(_GRACE, 0) < 0 and after.get(_GRACE) == 1:
        changeable |= {_GRACE}
    changes = "".join(
        islice(_changes("", *(_fixed_part(s, changeable) for s in (before, after))), CHANGES_TOLD_MAX)
    )
    if changes:
        yield forbidden_field("spec", _IMMUTABLE + changes)


def _changes(path: str, before: Any, after: Any) -> Iterator[str]:
    """The values that differ, as two lines each, old and new; upstream shows Go's own text."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from _changes(f"{path}.{name}".lstrip("."), before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changes(f"{path}[{i}]", one, other)
    elif before != after:
        yield f"\n- {path}: {shown(before)}\n+ {path}: {shown(after)}"


def _fixed_part(spec: Object, changeable: frozenset[str]) -> Object:
    fixed = {name: value for name, value in spec.items() if name not in changeable}
    for field in ("containers", "initContainers"):
        fixed[field] = [{**container, "image": ""} for container in spec.get(field) or ()]
    return fixed


def _deadline(before: Object, after: Object) -> Iterator[Cause]:
    path, earlier, later = (
        "spec.activeDeadlineSeconds",
        *(s.get("activeDeadlineSeconds") for s in (before, after)),
    )
    if earlier is None:
        return
    if later is None:
        yield invalid_value(path, later, "must not update from a positive integer to nil value")
    elif later > earlier:
        yield invalid_value(path, later, "must be less than or equal to previous value")


def _tolerations(before: Object, after: Object) -> Iterator[Cause]:
    """Existing ones stay, and only their time may change."""
    kept = [_timeless(toleration) for toleration in after.get("tolerations") or ()]
    if not all(_timeless(toleration) in kept for toleration in before.get("tolerations") or ()):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden_field("spec.tolerations", why)


def _timeless(toleration: Object) -> Object:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _gates(before: Object, after: Object) -> Iterator[Cause]:
    had = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    added = sorted({gate.get("name", "") for gate in after.get("schedulingGates") or ()} - set(had))
    if added:
        why = f"only deletion is allowed, but found new scheduling gates '{','.join(added)}'"
        yield forbidden_field("spec.schedulingGates", why)


def status_faults(pod: Object) -> Iterator[Cause]:
    """A pod's addresses are addresses, and its conditions have types."""
    status = pod.get("status") or {}
    for field in ("podIPs", "hostIPs"):
        yield from each(_address)(f"status.{field}", status.get(field) or [])
    for i, condition in enumerate(status.get("conditions") or ()):
        yield from label_key(f"status.conditions[{i}].type", condition.get("type", ""))


def _address(path: str, address: Object) -> Iterator[Cause]:
    yield from ip_or_none(path, address.get("ip", ""))
