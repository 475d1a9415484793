"""WorkloadEndpoints in the datastore: which pod is where, written by the pod's node and nobody else.

The key says namespace, node and pod, the value which pod of that name it is. Both are read leniently: what
somebody spoilt by hand still says by its key whose it is, and is written over or left alone, never believed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from calico.places import Place
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_parts
from calico.resources.table import kind_of, parse_key, prefix, store_key
from fabric.api.objects import Object, labels_of
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, FabricError
from fabric.netstate.objects import IPAddress
from fabric.store.port import Delete, KeyValue, ModRevision, Put, Store

WRITE_TRIES_MAX = 10
LABEL_LENGTH_MAX = 63
ROOT = prefix(kind_of(WorkloadEndpoint))
"""Of all endpoints' keys."""


@dataclass(frozen=True, slots=True)
class Workload:
    """An endpoint, as far as can be told."""

    namespace: str
    name: str
    node: str
    """Empty where the name is no endpoint's."""
    container: str
    """The id of the pod's sandbox (containerID); empty where the value does not say."""
    addresses: tuple[IPAddress, ...] = ()
    """The pod's addresses, as the value says; believed only of an endpoint that a user made by hand."""


def labels_of_pod(pod: Object) -> dict[str, str]:
    """The labels that policies select a pod's endpoint by: the pod's, its namespace and its account."""
    account = (pod.get("spec") or {}).get("serviceAccountName") or "default"
    labels = labels_of(pod) | {
        "projectcalico.org/namespace": pod["metadata"]["namespace"],
        "projectcalico.org/orchestrator": "k8s",
    }
    if len(account) <= LABEL_LENGTH_MAX:
        labels["projectcalico.org/serviceaccount"] = account
    return labels


async def listed(store: Store) -> tuple[Workload, ...]:
    """All of the cluster."""
    found = (await store.range(ROOT)).kvs
    return tuple(workload for kv in found if (workload := _workload(kv)) is not None)


async def of_node(store: Store, node: str) -> tuple[Workload, ...]:
    """The endpoints of a node; others' are passed over unread."""
    start = node.replace("-", "--") + "-"
    found = ((kv, kv.key.rpartition("/")[2]) for kv in (await store.range(ROOT)).kvs)
    own = (_workload(kv) for kv, name in found if name.startswith(start))
    return tuple(workload for workload in own if workload is not None and workload.node == node)


def places(kv: KeyValue) -> tuple[Place, ...]:
    """The places of an endpoint's addresses; none where it does not say whose it is, or is no endpoint."""
    found = _workload(kv)
    if found is None or not found.node:
        return ()
    return tuple(Place.at(address, found.node) for address in found.addresses)


async def is_there(store: Store, namespace: str, name: str) -> bool:
    """True when there is an endpoint of that name, whatever it says."""
    return await store.get(store_key(kind_of(WorkloadEndpoint), name, namespace)) is not None


async def write(store: Store, clock: Clock, endpoint: WorkloadEndpoint) -> int:
    """Create it, or replace what stands there: the endpoint of an earlier pod of that name, or nonsense.

    Return the revision of the store at which it is there.
    """
    key = store_key(kind_of(WorkloadEndpoint), endpoint.name, endpoint.metadata.namespace)
    for _ in range(WRITE_TRIES_MAX):
        with suppress(AlreadyExists):
            return int((await datastore.create(store, endpoint, clock)).metadata.resource_version)
        kv = await store.get(key)
        if kv is not None and (revision := await _replace(store, clock, kv, endpoint)):
            return revision
    raise FabricError(f"WorkloadEndpoint({endpoint.name}) changes faster than it can be written")


async def delete(store: Store, namespace: str, name: str, container: str) -> None:
    """Delete it if it is that pod's, and not that of a later one of the same name; none is no error."""
    key = store_key(kind_of(WorkloadEndpoint), name, namespace)
    for _ in range(WRITE_TRIES_MAX):
        kv = await store.get(key)
        if kv is None or _container(kv) != container:
            return
        if (await store.txn([ModRevision(key, kv.mod_revision)], [Delete(key)])).succeeded:
            return
    raise FabricError(f"WorkloadEndpoint({name}) changes faster than it can be deleted")


async def _replace(store: Store, clock: Clock, kv: KeyValue, endpoint: WorkloadEndpoint) -> int:
    """Replace it, and return the revision; 0 where it was changed meanwhile."""
    try:
        metadata = replace(datastore.decode(WorkloadEndpoint, kv).metadata, labels=endpoint.labels)
    except datastore.Unreadable:
        metadata = datastore.stamped(endpoint, clock).metadata
    put = Put(kv.key, datastore.encode(replace(endpoint, metadata=metadata)))
    result = await store.txn([ModRevision(kv.key, kv.mod_revision)], [put])
    return result.revision if result.succeeded else 0


def _workload(kv: KeyValue) -> Workload | None:
    found = parse_key(kv.key)
    if found is None:
        return None
    _, key = found
    return Workload(key.namespace, key.name, _node(key.name), _container(kv), _addresses(kv))


def _node(name: str) -> str:
    try:
        return endpoint_parts(name)[0]
    except ValueError:
        return ""


def _container(kv: KeyValue) -> str:
    try:
        container = json.loads(kv.value)["spec"]["containerID"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return container if isinstance(container, str) else ""


def _addresses(kv: KeyValue) -> tuple[IPAddress, ...]:
    try:
        return tuple(ip_interface(text).ip for text in json.loads(kv.value)["spec"]["ipNetworks"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()
