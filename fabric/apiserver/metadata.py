"""What the server itself writes into an object's metadata, and which names it takes."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator
from datetime import datetime

from fabric.api.kinds import Kind
from fabric.api.objects import Object, timestamp
from fabric.api.selectors import is_label_key, is_label_value
from fabric.apiserver.refusals import Cause, invalid_value, required

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes: k8s.io/apimachinery/pkg/util/rand."""
SUFFIX_LENGTH = 5
GENERATE_NAME_MAX = 63 - SUFFIX_LENGTH
ANNOTATIONS_BYTES_MAX = 256 * 1024

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PATH_SEGMENT = re.compile(r"[^/%]+")

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


_NOT_KEPT = ("selfLink", "managedFields")


def born(obj: Object, namespace: str, name: str, now: datetime, *, generation: bool) -> Object:
    """The object as it comes into being: with uid, creation time, and a made name where one is asked for."""
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


def carried_over(new: Object, old: Object) -> Object:
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
        yield from _label_faults("metadata.labels", key, value)
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        size += len(key) + len(value)
        if not is_label_key(key.lower()):
            yield invalid_value("metadata.annotations", key, _KEY_RULE)
    if size > ANNOTATIONS_BYTES_MAX:
        yield Cause(
            "FieldValueTooLong",
            "metadata.annotations",
            f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes",
        )
    for i, finalizer in enumerate(meta.get("finalizers") or ()):
        if not is_label_key(finalizer):
            yield invalid_value(f"metadata.finalizers[{i}]", finalizer, _KEY_RULE)
    yield from _owner_faults(meta.get("ownerReferences") or [])


_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _label_faults(field: str, key: str, value: str) -> Iterator[Cause]:
    if not is_label_key(key):
        yield invalid_value(field, key, _KEY_RULE)
    if not is_label_value(value):
        yield invalid_value(field, value, _VALUE_RULE)


def name_faults(field: str, name: str, *, label: bool = False, path: bool = False) -> Iterator[Cause]:
    """Faults of a name: a DNS subdomain, a DNS label, or (path) anything that fits into a URL."""
    if not name:
        yield required(field, "name or generateName is required")
    elif path:
        if not _PATH_SEGMENT.fullmatch(name) or name in (".", ".."):
            yield invalid_value(field, name, "may not contain '/' or '%' and may not be '.' or '..'")
    elif len(name) > (63 if label else 253):
        yield invalid_value(field, name, f"must be no more than {63 if label else 253} characters")
    elif not (_DNS_LABEL if label else _DNS_SUBDOMAIN).fullmatch(name):
        yield invalid_value(field, name, _LABEL_RULE if label else _SUBDOMAIN_RULE)


def _owner_faults(owners: list[Object]) -> Iterator[Cause]:
    for i, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid_value(
                    f"metadata.ownerReferences[{i}].{field}", owner.get(field, ""), "must not be empty"
                )
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        yield invalid_value(
            "metadata.ownerReferences",
            [o.get("name") for o in owners],
            "Only one reference can have Controller set to true",
        )
