"""Deletion in steps: mark, wait for grace and finalizers, remove.

An object that something still holds (a grace period, a finalizer, a namespace's content) gets a
deletionTimestamp and stays; it goes with the write that lets go of it last. `plan` is pure: it says what
becomes of the object.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fabric.api.kinds import NAMESPACE, POD, Kind
from fabric.api.objects import SECONDS_MAX, Object, parse_timestamp, timestamp
from fabric.apiserver.namespaces import IMMORTAL
from fabric.apiserver.options import DeleteOptions
from fabric.apiserver.refusals import conflict, forbidden
from fabric.errors import BadRequest

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_FINALIZER_OF = {"Foreground": FOREGROUND, "Orphan": ORPHAN, "Background": ""}


def check(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    """Refuse what may not be deleted, or is not what the client meant."""
    meta = obj["metadata"]
    name = meta["name"]
    if kind.names_same_as(NAMESPACE) and name in IMMORTAL:
        raise forbidden(kind, name, "this namespace may not be deleted")
    uid = meta.get("uid", "")
    if options.uid and options.uid != uid:
        why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {uid}"
        raise conflict(kind, name, why)
    if options.resource_version and options.resource_version != meta["resourceVersion"]:
        why = "Precondition failed: ResourceVersion in precondition: "
        why += f"{options.resource_version}, ResourceVersion in object meta: {meta['resourceVersion']}"
        raise conflict(kind, name, why)
    if options.propagation not in _FINALIZER_OF:
        raise BadRequest(
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: '
            f'"{options.propagation}": must be one of {", ".join(_FINALIZER_OF)}'
        )
    if options.grace_period_seconds is not None and options.grace_period_seconds < 0:
        raise BadRequest(
            f"gracePeriodSeconds: Invalid value: {options.grace_period_seconds}: must be non-negative"
        )


def plan(kind: Kind, obj: Object, options: DeleteOptions, now: datetime) -> Object | None:
    """The object as it stays, marked; None when nothing holds it. Unchanged means nothing is to be done."""
    finalizers = _finalizers(obj, options.propagation)
    grace = grace_seconds(kind, obj, options.grace_period_seconds)
    meta = {**obj["metadata"]}
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    marked = {**obj, "metadata": _marked(meta, grace, now)}
    if kind.names_same_as(NAMESPACE):
        marked["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    if not is_held(kind, marked):
        return None
    return obj if marked == obj else marked


def _finalizers(obj: Object, propagation: str) -> list[str]:
    present = list(obj["metadata"].get("finalizers") or ())
    if obj["metadata"].get("deletionTimestamp"):
        return present
    kept = [finalizer for finalizer in present if finalizer not in (FOREGROUND, ORPHAN)]
    wanted = _FINALIZER_OF[propagation]
    return [*kept, wanted] if wanted else kept


def grace_seconds(kind: Kind, obj: Object, asked: int | None) -> int:
    """The grace period: a pod on a node has time to stop, any other object is removed at once."""
    if not kind.names_same_as(POD):
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    of_pod = int(spec.get("terminationGracePeriodSeconds", 30))
    wanted = (1 if of_pod < 0 else of_pod) if asked is None else asked
    return min(wanted, SECONDS_MAX)


def _marked(meta: Object, grace: int, now: datetime) -> Object:
    """Set the time of deletion, a new generation; a repeated request may only bring it forward."""
    before = meta.get("deletionTimestamp")
    if before is None:
        counted = {"generation": meta["generation"] + 1} if meta.get("generation") else {}
        return {
            **meta,
            **counted,
            "deletionTimestamp": timestamp(now + timedelta(seconds=grace)),
            "deletionGracePeriodSeconds": grace,
        }
    had = meta.get("deletionGracePeriodSeconds") or 0
    if grace >= had:
        return meta
    started = parse_timestamp(before) - timedelta(seconds=had)
    return {
        **meta,
        "deletionTimestamp": timestamp(started + timedelta(seconds=grace)),
        "deletionGracePeriodSeconds": grace,
    }


def is_held(kind: Kind, obj: Object) -> bool:
    """True while grace, finalizers or (namespaces) content keep a marked object."""
    meta = obj["metadata"]
    if meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return True
    return kind.names_same_as(NAMESPACE) and bool((obj.get("spec") or {}).get("finalizers"))
