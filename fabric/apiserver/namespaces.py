"""Namespaces: a finalizer of their own in the spec, and a label with their name."""

from __future__ import annotations

from collections.abc import Iterator

from fabric.api.names import qualified_name_faults
from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, invalid_value

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
_STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")
INITIAL = ("default", "kube-system", "kube-public", "kube-node-lease")
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that cannot be deleted."""


def prepared(obj: Object) -> Object:
    """A new namespace carries the finalizer that its content is removed under."""
    spec = obj.get("spec") or {}
    finalizers = list(spec.get("finalizers") or ())
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    return {**obj, "spec": {**spec, "finalizers": finalizers}}


def defaulted(obj: Object) -> Object:
    """Every namespace has the label with its name."""
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    if labels.get(NAME_LABEL) == meta["name"]:
        return obj
    return {**obj, "metadata": {**meta, "labels": {**labels, NAME_LABEL: meta["name"]}}}


def faults(obj: Object) -> Iterator[Cause]:
    """Faults of the finalizers in the spec: each is a standard one or has a domain."""
    for i, name in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
        at = f"spec.finalizers[{i}]"
        yield from (invalid_value(at, name, fault) for fault in qualified_name_faults(name))
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(at, name, why)


def is_terminating(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") == "Terminating" or "deletionTimestamp" in obj["metadata"]
