"""Object metadata: the fields that the server sets, and the validation of names, labels and the rest."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime

from fabric.api import names
from fabric.api.kinds import Kind
from fabric.api.objects import Object, timestamp
from fabric.apiserver.refusals import Cause, invalid_value, required, too_long

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes: k8s.io/apimachinery/pkg/util/rand."""
SUFFIX_LENGTH = 5
GENERATE_NAME_MAX = 63 - SUFFIX_LENGTH
ANNOTATIONS_BYTES_MAX = 256 * 1024

_NOT_KEPT = ("selfLink", "managedFields")


def before_create(obj: Object, namespace: str, name: str, now: datetime, *, generation: bool) -> Object:
    """The object with uid, creation time, and a name generated from generateName where it has none."""
    meta = {**obj.get("metadata", {})}
    for of_the_server in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", *_NOT_KEPT):
        meta.pop(of_the_server, None)
    meta["name"] = meta.get("name") or name or generated_name(meta.get("generateName", ""))
    if namespace:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = timestamp(now)
    if generation:
        meta["generation"] = 1
    else:
        meta.pop("generation", None)
    return {**obj, "metadata": meta}


def generated_name(prefix: str) -> str:
    """`prefix` and five random characters; empty without a prefix."""
    if not prefix:
        return ""
    return prefix[:GENERATE_NAME_MAX] + "".join(random.choices(ALPHABET, k=SUFFIX_LENGTH))


_OF_THE_SERVER = (
    "name",
    "namespace",
    "generateName",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    *_NOT_KEPT,
)


def before_update(new: Object, old: Object) -> Object:
    """The new object with the metadata that no client may change taken from the old one."""
    before, meta = old["metadata"], {**new.get("metadata", {})}
    for field in _OF_THE_SERVER:
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
    return {**new, "metadata": meta}


def metadata_faults(kind: Kind, obj: Object, *, label_name: bool, path_name: bool = False) -> Iterator[Cause]:
    """Faults of name, labels, annotations, finalizers and owner references."""
    meta = obj["metadata"]
    yield from name_faults("metadata.name", meta.get("name", ""), label=label_name, path=path_name)
    for key, value in (meta.get("labels") or {}).items():
        yield from _faults(names.qualified_name_faults, "metadata.labels", key)
        yield from _faults(names.label_value_faults, "metadata.labels", value)
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        size += len(key.encode(errors="replace")) + len(value.encode(errors="replace"))
        for fault in names.qualified_name_faults(key.lower()):
            yield invalid_value("metadata.annotations", key, fault)
    if size > ANNOTATIONS_BYTES_MAX:
        yield too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX)
    yield from _finalizer_faults(meta.get("finalizers") or [])
    yield from _owner_faults(meta.get("ownerReferences") or [])


def _faults(rule: names.Rule, field: str, value: str) -> Iterator[Cause]:
    return (invalid_value(field, value, fault) for fault in rule(value))


def name_faults(field: str, name: str, *, label: bool = False, path: bool = False) -> Iterator[Cause]:
    """Faults of a name: a DNS subdomain, a DNS label, or (path) anything that fits into a URL."""
    if not name:
        yield required(field, "name or generateName is required")
    elif path:
        yield from _faults(names.path_segment_faults, field, name)
    else:
        yield from _faults(names.dns_label_faults if label else names.dns_subdomain_faults, field, name)


def _finalizer_faults(finalizers: list[str]) -> Iterator[Cause]:
    for i, finalizer in enumerate(finalizers):
        yield from _faults(names.qualified_name_faults, f"metadata.finalizers[{i}]", finalizer)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid_value("metadata.finalizers", finalizers, why)


def _owner_faults(owners: list[Object]) -> Iterator[Cause]:
    for i, owner in enumerate(owners):
        at = f"metadata.ownerReferences[{i}]"
        if not owner.get("apiVersion"):
            yield invalid_value(f"{at}.apiVersion", "", "version must not be empty")
        elif owner["apiVersion"].count("/") > 1:
            yield invalid_value(f"{at}.apiVersion", owner["apiVersion"], "is not a group and a version")
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                yield invalid_value(f"{at}.{field}", owner.get(field, ""), "must not be empty")
    controllers = [owner.get("name", "") for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        why = "Only one reference can have Controller set to true. Found "
        why += f'"true" in references for {controllers[0]} and {controllers[1]}'
        yield invalid_value("metadata.ownerReferences", owners, why)
