"""The subresources of a pod that act: binding puts it onto a node, eviction asks it to leave."""

from __future__ import annotations

from datetime import datetime

from fabric.api.kinds import POD, Kind
from fabric.api.objects import Object, observed, timestamp
from fabric.apiserver.options import DeleteOptions
from fabric.apiserver.refusals import conflict, invalid, required
from fabric.errors import BadRequest

BINDING = Kind("", "v1", "Binding", "bindings", True)
EVICTION = Kind("policy", "v1", "Eviction", "evictions", True)
ACTIONS = {"binding": BINDING, "eviction": EVICTION}
"""The kind of the body that each acting subresource takes."""


def bound(pod: Object, binding: Object, now: datetime) -> Object:
    """The pod on the node that the binding names; Conflict when it is on a node or on its way out."""
    meta = pod["metadata"]
    name = meta["name"]
    target = binding.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        raise BadRequest(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node"')
    if not target.get("name"):
        raise invalid(POD, name, [required("target.name")])
    uid = (binding.get("metadata") or {}).get("uid")
    if uid and uid != meta["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}"
        raise conflict(POD, name, why)
    spec = pod["spec"]
    if "deletionTimestamp" in meta:
        raise conflict(POD, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict(POD, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    status = pod.get("status") or {}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(now)}
    scheduled = observed(pod, scheduled)
    others = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    return {
        **pod,
        "metadata": _annotated(meta, binding),
        "spec": {**spec, "nodeName": target["name"]},
        "status": {**status, "conditions": [*others, scheduled]},
    }


def _annotated(meta: Object, binding: Object) -> Object:
    extra = (binding.get("metadata") or {}).get("annotations")
    return {**meta, "annotations": {**(meta.get("annotations") or {}), **extra}} if extra else meta


def eviction_options(eviction: Object, *, dry_run: bool) -> DeleteOptions:
    """The deletion that an eviction asks for."""
    options = eviction.get("deleteOptions") or {}
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=options.get("gracePeriodSeconds"),
        propagation=options.get("propagationPolicy") or "Background",
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=dry_run or bool(options.get("dryRun")),
    )


DONE: Object = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "details": {},
    "code": 201,
}
"""The answer to a binding and to an eviction."""
