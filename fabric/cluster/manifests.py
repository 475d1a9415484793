"""The manifests of a topology, applied: what the file has exists, what it no longer has is gone.

As `kubectl apply`: an object remembers in an annotation what was applied last, so that a key that left
the file leaves the object, and what others added stays; what others changed is put back. A pod that cannot
be patched is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

import orjson

from fabric.api import kinds
from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Key, Object, annotations_of, is_deleting, key_of, uid_of
from fabric.control.client import Client
from fabric.errors import AlreadyExists, ApiError, FabricError, Invalid, NotFound
from fabric.topology.model import Manifest

LAST_APPLIED = "fabric.dev/last-applied"
IN_FLIGHT = 256
RETRY_SECONDS, TRIES = 0.1, 300

Applied = Callable[[int, int], None]
"""Called with (done, all) after each object."""
_Entry = tuple[Kind, Manifest]


async def apply(
    client: Client,
    manifests: Sequence[Manifest],
    table: KindTable,
    applied: Applied = lambda done, all: None,
    *,
    nodes: Container[str] | None = None,
) -> None:
    """Bring the cluster's objects to the file's; FabricError names the manifest that is refused.

    `nodes`: those that the cluster has; a pod that is bound to another one is made anew.
    """
    await put(client, manifests, table, applied, nodes=nodes)
    kept = {(kind, key_in(kind, m.object)) for kind, m in in_order(manifests, table)}
    await _prune(client, table, kept)


async def put(
    client: Client,
    manifests: Sequence[Manifest],
    table: KindTable,
    applied: Applied = lambda done, all: None,
    *,
    nodes: Container[str] | None = None,
) -> None:
    """Apply the manifests, and delete nothing that they do not have.

    What is refused is tried again once others were taken: it may need one of them, as a policy its tier.
    """
    todo = in_order(manifests, table)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        applied(done, len(todo))

    for _, stage in groupby(todo, key=lambda entry: _turn(entry[0])):
        waiting = list(stage)
        while waiting:
            refused = await _put_all(client, waiting, nodes, one_more)
            if len(refused) == len(waiting):
                (kind, manifest), error = refused[0]
                name = f"{kind.kind} {key_in(kind, manifest.object)}"
                raise FabricError(f"{manifest.where}: {name}: {error}")
            waiting = [entry for entry, _ in refused]


async def _put_all(
    client: Client, entries: Sequence[_Entry], nodes: Container[str] | None, applied: Callable[[], None]
) -> list[tuple[_Entry, ApiError]]:
    """Apply manifests side by side; return those that are refused."""
    refused: dict[int, ApiError] = {}
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def one(index: int, entry: _Entry) -> None:
        async with turns:
            try:
                await apply_one(client, *entry, nodes)
            except ApiError as error:
                refused[index] = error
            else:
                applied()

    try:
        async with asyncio.TaskGroup() as group:
            for index, entry in enumerate(entries):
                group.create_task(one(index, entry))
    except* FabricError as errors:
        raise _first(errors) from None
    return [(entries[index], refused[index]) for index in sorted(refused)]


def in_order(manifests: Iterable[Manifest], table: KindTable) -> list[_Entry]:
    """Each manifest with its kind: namespaces first, pods last."""
    todo = [(_kind(table, m), m) for m in manifests]
    return sorted(todo, key=lambda entry: _turn(entry[0]))


def _turn(kind: Kind) -> int:
    return 0 if kind == kinds.NAMESPACE else 2 if kind == kinds.POD else 1


async def apply_one(
    client: Client, kind: Kind, manifest: Manifest, nodes: Container[str] | None = None
) -> None:
    """Create the object, or bring the one that is there to the manifest; ApiError when it is refused."""
    wanted = orjson.loads(orjson.dumps(manifest.object))
    key = key_in(kind, wanted)
    metadata = wanted["metadata"]
    text = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode()
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: text}
    for _ in range(TRIES):
        try:
            await client.create(kind, wanted, namespace=key.namespace)
            return
        except AlreadyExists:
            if await _update(client, kind, key, wanted, nodes):
                return
        await asyncio.sleep(RETRY_SECONDS)
    raise FabricError(f"{manifest.where}: {kind.kind} {key} is still being deleted; try again")


async def _update(client: Client, kind: Kind, key: Key, wanted: Object, nodes: Container[str] | None) -> bool:
    """Patch the object that is there; False when it is going away, and must be created anew."""
    try:
        there = await client.get(kind, key.name, key.namespace)
        if is_deleting(there) and not is_stranded(kind, there, nodes):
            return False
        if is_stranded(kind, there, nodes):
            await client.delete(kind, key.name, key.namespace, grace_period_seconds=0, uid=uid_of(there))
            return False
        if difference(there, wanted) is None:
            return True
        last = annotations_of(there).get(LAST_APPLIED)
        patch = merge_patch(orjson.loads(last) if last else {}, wanted)
        await client.patch(kind, key.name, patch, namespace=key.namespace)
    except NotFound:
        return False
    except Invalid:
        if kind != kinds.POD:
            raise
        await client.delete(kind, key.name, key.namespace, uid=uid_of(there))
        return False
    return True


def is_stranded(kind: Kind, obj: Object, nodes: Container[str] | None) -> bool:
    """True for a pod that is bound to a node which the cluster does not have any more."""
    if kind != kinds.POD or nodes is None:
        return False
    bound = (obj.get("spec") or {}).get("nodeName")
    return bool(bound) and bound not in nodes


def difference(there: Any, wanted: Any, path: str = "") -> str | None:
    """The first path at which an object lacks what is wanted, or has something else; None when it has all.

    What the server or somebody else added is no difference, nor is the order of a list of objects.
    """
    if wanted is None:
        return None
    if isinstance(wanted, dict) and isinstance(there, dict):
        below = ((f"{path}.{name}" if path else name, name) for name in wanted)
        found = (difference(there.get(name), wanted[name], at) for at, name in below)
        return next((at for at in found if at is not None), None)
    if isinstance(wanted, list) and isinstance(there, list) and any(isinstance(it, dict) for it in wanted):
        for index, item in enumerate(wanted):
            if all(difference(other, item) is not None for other in there):
                like = there[index] if index < len(there) else None
                return difference(like, item, f"{path}[{index}]")
        return None
    return None if there == wanted or _is_zero(there, wanted) else path


def _is_zero(there: Any, wanted: Any) -> bool:
    """An empty value that is wanted, and left out where it is stored."""
    return there is None and (wanted in ("", 0, False) or wanted == [] or wanted == {})


async def differences(
    client: Client,
    manifests: Sequence[Manifest],
    table: KindTable,
    nodes: Container[str],
    known: Mapping[Kind, Iterable[Object]] = MappingProxyType({}),
) -> list[tuple[Manifest, str]]:
    """Return the manifests that the cluster does not have as the file says, each with what is wrong.

    `known`: objects that were read already, by kind.
    """
    found: list[tuple[Manifest, str]] = []
    listed = {kind: {key_of(obj): obj for obj in objects} for kind, objects in known.items()}
    for kind, manifest in in_order(manifests, table):
        if kind not in listed:
            listed[kind] = {key_of(obj): obj for obj in (await client.list(kind)).items}
        key = key_in(kind, manifest.object)
        obj = listed[kind].get(key)
        if obj is None or is_deleting(obj):
            found.append((manifest, f"{kind.kind} {key} is {'being deleted' if obj else 'gone'}"))
        elif is_stranded(kind, obj, nodes):
            found.append((manifest, f"{kind.kind} {key} is on a node that left the file"))
        elif (at := difference(obj, manifest.object)) is not None:
            found.append((manifest, f"{kind.kind} {key} has another {at} than the file"))
    return found


def merge_patch(last: Any, wanted: Any) -> Any:
    """The merge patch (RFC 7386) that sets what is wanted and drops what was applied and is no more."""
    if not isinstance(last, dict) or not isinstance(wanted, dict):
        return wanted
    gone = {key: None for key in last if key not in wanted}
    return gone | {key: merge_patch(last.get(key), value) for key, value in wanted.items()}


async def _prune(client: Client, table: KindTable, wanted: set[tuple[Kind, Key]]) -> None:
    """Delete what an earlier file brought and this one does not.

    What is refused is tried again once others are gone: it may be needed by one of them.
    """
    waiting: list[tuple[Kind, Object]] = []
    for kind in table:
        if kind == kinds.EVENT or not {"list", "delete"} <= set(kind.verbs):
            continue
        there = (await client.list(kind)).items
        ours = (it for it in there if LAST_APPLIED in annotations_of(it))
        waiting += ((kind, it) for it in ours if (kind, key_of(it)) not in wanted)
    while waiting:
        refused: list[tuple[Kind, Object]] = []
        errors: list[ApiError] = []
        for kind, obj in waiting:
            try:
                await _delete(client, kind, obj)
            except ApiError as error:
                refused.append((kind, obj))
                errors.append(error)
        if len(refused) == len(waiting):
            raise errors[0]
        waiting = refused


async def _delete(client: Client, kind: Kind, obj: Object) -> None:
    try:
        await client.delete(kind, obj["metadata"]["name"], key_of(obj).namespace, uid=uid_of(obj))
    except NotFound:
        return


def _kind(table: KindTable, manifest: Manifest) -> Kind:
    kind = table.by_kind(manifest.object["apiVersion"], manifest.object["kind"])
    if kind is None:
        raise FabricError(f"{manifest.where}: unknown kind {manifest.object['kind']!r}")
    return kind


def key_in(kind: Kind, obj: Object) -> Key:
    """The key of an object as a file has it, where a namespace may be left out."""
    namespace = (obj["metadata"].get("namespace") or "default") if kind.namespaced else ""
    return Key(namespace, obj["metadata"]["name"])


def _first(errors: BaseExceptionGroup[FabricError]) -> BaseException:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
