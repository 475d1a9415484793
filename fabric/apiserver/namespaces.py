"""Namespaces: a finalizer of their own in the spec, and a label with their name."""

from __future__ import annotations

from fabric.api.objects import Object

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
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


def is_terminating(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") == "Terminating" or "deletionTimestamp" in obj["metadata"]
