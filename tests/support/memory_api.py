"""A tiny API in memory for tests of loops: objects, revisions, and watches that can be broken at will."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fabric.api.kinds import Kind
from fabric.api.objects import Key, Object, key_of
from fabric.apiserver import patches
from fabric.control.client import MERGE, Client, ObjectList, PatchType, WatchEvent
from fabric.errors import AlreadyExists, ApiError, Conflict, Gone, NotFound


class MemoryApi(Client):
    """Keeps every event from `compacted` on; `refusals` are raised by the next calls, in order."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, Key], Object] = {}
        self.revision = 0
        self.compacted = 0
        self.refusals: list[ApiError] = []
        self.calls: list[str] = []
        self._history: list[tuple[Kind, WatchEvent]] = []
        self._changed = asyncio.Event()
        self._watch_generation = 0

    def break_watches(self) -> None:
        """End all watches, as a server does that restarts."""
        self._watch_generation += 1
        self._notify()

    def compact(self) -> None:
        """Forget the past: who asks for it is told Gone."""
        self.compacted = self.revision
        self._history.clear()

    def put(self, kind: Kind, obj: Object) -> Object:
        """Write as another client would, at once."""
        stored = json.loads(json.dumps(obj))
        key = key_of(stored)
        old = self.objects.get((kind, key))
        uid = old["metadata"]["uid"] if old else f"uid-{self.revision + 1}"
        stored["metadata"].setdefault("uid", uid)
        self._record(kind, "MODIFIED" if old else "ADDED", stored)
        self.objects[kind, key] = stored
        return stored

    def remove(self, kind: Kind, key: Key) -> None:
        """Delete as another client would, at once."""
        self._record(kind, "DELETED", json.loads(json.dumps(self.objects.pop((kind, key)))))

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        self._call("get", kind, name)
        return self._found(kind, Key(namespace, name))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        self._call("list", kind, namespace)
        items = [obj for (k, key), obj in self.objects.items() if k == kind and namespace in ("", key[0])]
        return ObjectList(tuple(items), str(self.revision))

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        self._call("create", kind, obj["metadata"]["name"])
        if (kind, key_of(obj)) in self.objects:
            raise AlreadyExists(str(key_of(obj)))
        return self.put(kind, obj)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        self._call("update", kind, obj["metadata"]["name"])
        self._found(kind, key_of(obj))
        return self.put(kind, obj)

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        subresource: str = "",
        patch_type: PatchType = MERGE,
        field_manager: str = "fabric",
    ) -> Object:
        self._call("patch", kind, name)
        return self.put(
            kind, patches.patched(kind, self._found(kind, Key(namespace, name)), patch, patch_type)
        )

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        uid: str = "",
    ) -> None:
        self._call("delete", kind, name)
        found = self._found(kind, Key(namespace, name))
        if uid and found["metadata"]["uid"] != uid:
            raise Conflict(f"{name} has another uid")
        self.remove(kind, Key(namespace, name))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        self._call("watch", kind, resource_version)
        generation = self._watch_generation
        seen = int(resource_version)
        while generation == self._watch_generation:
            if seen < self.compacted:
                raise Gone(f"revision {seen} is compacted")
            for of, event in tuple(self._history):
                revision = int(event.object["metadata"]["resourceVersion"])
                if revision > seen:
                    seen = revision
                    if of == kind:
                        yield event
            await self._changed.wait()

    async def close(self) -> None:
        pass

    def _call(self, verb: str, kind: Kind, name: str) -> None:
        self.calls.append(f"{verb} {kind.plural} {name}".rstrip())
        if self.refusals:
            raise self.refusals.pop(0)

    def _found(self, kind: Kind, key: Key) -> Object:
        if (kind, key) not in self.objects:
            raise NotFound(f"{kind.plural} {key} not found")
        return self.objects[kind, key]

    def _record(self, kind: Kind, type_: Any, obj: Object) -> None:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._history.append((kind, WatchEvent(type_, obj)))
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
