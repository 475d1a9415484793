"""Resources in the store: written only over what was read, with the mod revision as resource version.

Errors are worded as calicoctl shows them.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TypeVar

import orjson

from calico.resources.envelope import Resource
from calico.resources.refusals import InvalidResource
from calico.resources.table import kind_of, prefix, store_key
from fabric.api.objects import Object
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, Conflict, FabricError, NotFound
from fabric.store.port import Delete, KeyValue, ModRevision, Put, Store

R = TypeVar("R", bound=Resource)


class Unreadable(FabricError):
    """The store holds something that somebody wrote by hand, and wrong; the message names the key."""


async def get(store: Store, resource_type: type[R], name: str, namespace: str = "") -> R | None:
    """The resource now, or None; Unreadable when it is there and cannot be read."""
    kv = await store.get(store_key(kind_of(resource_type), name, namespace))
    return decode(resource_type, kv) if kv else None


async def listed(store: Store, resource_type: type[R], namespace: str = "") -> tuple[R, ...]:
    """All of a kind, of one namespace or of all, in the order of their keys.

    One that cannot be read (somebody wrote it by hand, and wrong) is left out: it must not stop the others.
    """
    found = (await store.range(prefix(kind_of(resource_type), namespace))).kvs
    return tuple(resource for kv in found if (resource := _readable(resource_type, kv)) is not None)


async def create(store: Store, resource: R, clock: Clock) -> R:
    """Write a new one, with UID and time of creation; AlreadyExists when it is there."""
    written = await _write(store, stamped(resource, clock), 0)
    if written is None:
        raise exists_already(resource)
    return written


def stamped(resource: R, clock: Clock) -> R:
    """The resource as it is born: with UID and time of creation."""
    metadata = replace(
        resource.metadata,
        uid=resource.metadata.uid or str(uuid.uuid4()),
        creation_timestamp=clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        resource_version="",
    )
    return replace(resource, metadata=metadata)


async def update(store: Store, resource: R) -> R:
    """Replace one; its resource version, where it has one, must be the present one, else Conflict."""
    kv = await store.get(_key(resource))
    if kv is None:
        raise does_not_exist(type(resource), resource.name, resource.metadata.namespace)
    wanted = resource.metadata.resource_version
    written = await _write(store, resource, int(wanted) if wanted.isdecimal() else kv.mod_revision)
    if written is None:
        raise Conflict(f"update conflict: {title(resource)}")
    return written


async def delete(
    store: Store, resource_type: type[Resource], name: str, namespace: str = "", *, version: str = ""
) -> None:
    """Remove one; NotFound when it is not there, Conflict when it changed meanwhile, or since `version`."""
    key = store_key(kind_of(resource_type), name, namespace)
    kv = await store.get(key)
    if kv is None:
        raise does_not_exist(resource_type, name, namespace)
    if version and str(kv.mod_revision) != version:
        raise Conflict(f"update conflict: {_titled(resource_type, name, namespace)}")
    if not (await store.txn([ModRevision(key, kv.mod_revision)], [Delete(key)])).succeeded:
        raise Conflict(f"update conflict: {_titled(resource_type, name, namespace)}")


def decode(resource_type: type[R], kv: KeyValue) -> R:
    """Read what the store holds; Unreadable, whatever stands there and is no such resource."""
    try:
        resource = resource_type.from_object(_object(kv.value))
    except (InvalidResource, ValueError, RecursionError) as error:
        raise Unreadable(f"{kv.key} cannot be read ({error}): repair or delete the key") from error
    metadata = resource.metadata
    if kv.key != prefix(kind_of(resource_type), metadata.namespace) + metadata.name:
        raise Unreadable(f"{kv.key} cannot be read (it holds {title(resource)}): repair or delete the key")
    return replace(resource, metadata=replace(metadata, resource_version=str(kv.mod_revision)))


def encode(resource: Resource) -> bytes:
    """The stored value: compact JSON without the resource version, which is the key's own."""
    obj = resource.to_object()
    obj["metadata"].pop("resourceVersion", None)
    return json.dumps(obj, separators=(",", ":")).encode()


def title(resource: Resource) -> str:
    """The resource as errors name it: `IPPool(pool-1)`, `WorkloadEndpoint(default/…)`."""
    return _titled(type(resource), resource.name, resource.metadata.namespace)


def does_not_exist(resource_type: type[Resource], name: str, namespace: str) -> NotFound:
    """The error; etcd has no more to say, and Calico prints that as `<nil>`."""
    return NotFound(f"resource does not exist: {_titled(resource_type, name, namespace)} with error: <nil>")


def exists_already(resource: Resource) -> AlreadyExists:
    return AlreadyExists(f"resource already exists: {title(resource)}")


async def _write(store: Store, resource: R, over: int) -> R | None:
    key = _key(resource)
    result = await store.txn([ModRevision(key, over)], [Put(key, encode(resource))])
    if not result.succeeded:
        return None
    return replace(resource, metadata=replace(resource.metadata, resource_version=str(result.revision)))


def _readable(resource_type: type[R], kv: KeyValue) -> R | None:
    try:
        return decode(resource_type, kv)
    except Unreadable:
        return None


def _object(value: bytes) -> Object:
    obj = orjson.loads(value)
    if not isinstance(obj, dict):
        raise ValueError("not an object")
    return obj


def _key(resource: Resource) -> str:
    return store_key(kind_of(type(resource)), resource.name, resource.metadata.namespace)


def _titled(resource_type: type[Resource], name: str, namespace: str) -> str:
    return f"{resource_type.KIND}({namespace}/{name})" if namespace else f"{resource_type.KIND}({name})"
