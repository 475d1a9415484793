"""Config maps, secrets, leases and events: data with few rules."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from fabric.api.names import config_key_faults
from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, forbidden_field, invalid_value, required, too_long

DATA_BYTES_MAX = 1024 * 1024

EVENT_FIELDS = frozenset(
    {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    }
)

_REQUIRED_DATA = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def secret_defaulted(obj: Object) -> Object:
    """`stringData` becomes `data`; the type is Opaque unless it is given."""
    if "stringData" not in obj and "type" in obj:
        return obj
    plain = {key: value for key, value in obj.items() if key != "stringData"}
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in (obj.get("stringData") or {}).items()}
    if encoded:
        plain["data"] = {**(obj.get("data") or {}), **encoded}
    return {**plain, "type": obj.get("type") or "Opaque"}


def secret_faults(obj: Object) -> Iterator[Cause]:
    data = obj.get("data") or {}
    yield from _key_faults("data", data)
    size = 0
    for key, value in data.items():
        size += len(value) * 3 // 4
        if not _is_base64(value):
            yield invalid_value(f"data[{key}]", value, "illegal base64 data")
    yield from _size_faults("data", size)
    for key in _REQUIRED_DATA.get(obj.get("type", ""), ()):
        if key not in data:
            yield required(f"data[{key}]")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def secret_update_faults(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("type") != old.get("type"):
        yield invalid_value("type", new.get("type"), "field is immutable")
    yield from _frozen_faults(new, old, ("data",))


def config_map_faults(obj: Object) -> Iterator[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    yield from _key_faults("data", data)
    yield from _key_faults("binaryData", binary)
    for key in data.keys() & binary.keys():
        yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key, value in binary.items():
        if not _is_base64(value):
            yield invalid_value(f"binaryData[{key}]", value, "illegal base64 data")
    size = sum(len(value.encode(errors="replace")) for value in data.values())
    yield from _size_faults("", size + sum(len(value) * 3 // 4 for value in binary.values()))


def config_map_update_faults(new: Object, old: Object) -> Iterator[Cause]:
    yield from _frozen_faults(new, old, ("data", "binaryData"))


def lease_faults(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if spec.get("holderIdentity") == "":
        yield invalid_value("spec.holderIdentity", "", "must not be empty")
    if seconds is not None and seconds <= 0:
        yield invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def event_defaulted(obj: Object) -> Object:
    """An Event always says from where and how often."""
    missing: Object = {key: {} if key == "source" else 1 for key in ("source", "count") if key not in obj}
    if "eventTime" in obj:
        missing.pop("count", None)
    return {**obj, **missing} if missing else obj


def event_faults(obj: Object) -> Iterator[Cause]:
    namespace = (obj.get("involvedObject") or {}).get("namespace") or "default"
    if obj["metadata"].get("namespace") != namespace:
        yield invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")


def _key_faults(field: str, data: Object) -> Iterator[Cause]:
    for key in data:
        yield from (invalid_value(f"{field}[{key}]", key, fault) for fault in config_key_faults(key))


def _size_faults(field: str, size: int) -> Iterator[Cause]:
    if size > DATA_BYTES_MAX:
        yield too_long(field, DATA_BYTES_MAX)


def _frozen_faults(new: Object, old: Object, fields: tuple[str, ...]) -> Iterator[Cause]:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field("immutable", "field is immutable when `immutable` is set")
    for field in fields:
        if new.get(field) != old.get(field):
            yield forbidden_field(field, "field is immutable when `immutable` is set")
