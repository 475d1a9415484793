"""The manifests of a topology, applied: what the file has exists, what it no longer has is gone.

As `kubectl apply`: an object remembers in an annotation what was applied last, so that a key that left
the file leaves the object, and what others wrote stays. A pod that cannot be patched is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from fabric.api import kinds
from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Key, Object, annotations_of, is_deleting, key_of, uid_of
from fabric.control.client import Client
from fabric.errors import AlreadyExists, ApiError, BadInput, FabricError, Invalid, NotFound, Problem
from fabric.topology.model import Manifest

LAST_APPLIED = "fabric.dev/last-applied"
IN_FLIGHT = 16
RETRY_SECONDS, TRIES = 0.1, 300

Applied = Callable[[int, int], None]
"""Called with (done, all) after each object."""


def known(manifests: Iterable[Manifest], table: KindTable) -> None:
    """Refuse kinds that the API server does not take; BadInput names every one with its line."""
    taken = [kind for kind in table if "create" in kind.verbs]
    served = ", ".join(sorted(kind.kind for kind in taken))
    problems = [
        Problem(m.where, f"no kind {m.object['kind']!r} in {m.object['apiVersion']!r}; served: {served}")
        for m in manifests
        if table.by_kind(m.object["apiVersion"], m.object["kind"]) not in taken
    ]
    if problems:
        raise BadInput(*problems)


async def apply(
    client: Client, manifests: Sequence[Manifest], table: KindTable, applied: Applied = lambda done, all: None
) -> None:
    """Bring the cluster's objects to the file's; FabricError names the manifest that is refused."""
    todo = [(_kind(table, m), m) for m in manifests]
    done = 0
    for stage in (
        [(kind, m) for kind, m in todo if kind == kinds.NAMESPACE],
        [(kind, m) for kind, m in todo if kind not in (kinds.NAMESPACE, kinds.POD)],
        [(kind, m) for kind, m in todo if kind == kinds.POD],
    ):
        turns = asyncio.Semaphore(IN_FLIGHT)

        async def one(kind: Kind, manifest: Manifest, turns: asyncio.Semaphore = turns) -> None:
            nonlocal done
            async with turns:
                await _apply(client, kind, manifest)
            done += 1
            applied(done, len(todo))

        try:
            async with asyncio.TaskGroup() as group:
                for kind, manifest in stage:
                    group.create_task(one(kind, manifest))
        except* FabricError as errors:
            raise _first(errors) from None
    await _prune(client, table, {(kind, _key(kind, m.object)) for kind, m in todo})


async def _apply(client: Client, kind: Kind, manifest: Manifest) -> None:
    wanted = orjson.loads(orjson.dumps(manifest.object))
    key = _key(kind, wanted)
    metadata = wanted["metadata"]
    text = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode()
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: text}
    for _ in range(TRIES):
        try:
            await client.create(kind, wanted, namespace=key.namespace)
            return
        except AlreadyExists:
            if await _update(client, kind, key, wanted, text):
                return
        except ApiError as error:
            raise FabricError(f"{manifest.where}: {kind.kind} {key}: {error}") from None
        await asyncio.sleep(RETRY_SECONDS)
    raise FabricError(f"{manifest.where}: {kind.kind} {key} is still being deleted; try again")


async def _update(client: Client, kind: Kind, key: Key, wanted: Object, text: str) -> bool:
    """Patch the object that is there; False when it is going away, and must be created anew."""
    try:
        there = await client.get(kind, key.name, key.namespace)
        if is_deleting(there):
            return False
        last = annotations_of(there).get(LAST_APPLIED)
        if last == text:
            return True
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


def merge_patch(last: Any, wanted: Any) -> Any:
    """The merge patch (RFC 7386) that sets what is wanted and drops what was applied and is no more."""
    if not isinstance(last, dict) or not isinstance(wanted, dict):
        return wanted
    gone = {key: None for key in last if key not in wanted}
    return gone | {key: merge_patch(last.get(key), value) for key, value in wanted.items()}


async def _prune(client: Client, table: KindTable, wanted: set[tuple[Kind, Key]]) -> None:
    """Delete what an earlier file brought and this one does not."""
    for kind in table:
        if kind == kinds.EVENT or not {"list", "delete"} <= set(kind.verbs):
            continue
        for obj in (await client.list(kind)).items:
            if LAST_APPLIED in annotations_of(obj) and (kind, key_of(obj)) not in wanted:
                await _delete(client, kind, obj)


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


def _key(kind: Kind, obj: Object) -> Key:
    namespace = (obj["metadata"].get("namespace") or "default") if kind.namespaced else ""
    return Key(namespace, obj["metadata"]["name"])


def _first(errors: BaseExceptionGroup[FabricError]) -> BaseException:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
