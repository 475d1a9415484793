"""A client that calls the registry directly: no sockets, for tests and tiny clusters.

What goes in is copied, as a wire would; what comes out is the server's own and must not be written into.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, TypeVar

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.options import DeleteOptions, ListOptions, WriteOptions
from fabric.apiserver.registry import Registry
from fabric.control.client import MERGE, Client, ObjectList, PatchType, WatchEvent

T = TypeVar("T")


class LocalClient(Client):
    """The client's contract on a registry in this process."""

    def __init__(
        self,
        registry: Registry,
        *,
        field_validation: str = "Ignore",
        warn: Callable[[str], None] = lambda warning: None,
    ) -> None:
        """`warn` is told each warning of a write."""
        self._registry = registry
        self._writing = WriteOptions(field_validation=field_validation, warn=warn)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        return await self._registry.get(kind, namespace, name)

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        options = ListOptions(LabelSelector.parse(label_selector), FieldSelector.parse(field_selector))
        page = await self._registry.list(kind, namespace, options)
        return ObjectList(tuple(page.items), page.resource_version)

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        meta = obj.get("metadata", {})
        namespace = namespace or meta.get("namespace", "")
        name = meta.get("name", "") if subresource else ""
        return await self._registry.create(
            kind, namespace, _copied(obj), self._writing, name=name, subresource=subresource
        )

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        meta = obj["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        updated, _ = await self._registry.update(
            kind, namespace, name, _copied(obj), self._writing, subresource=subresource
        )
        return updated

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
        options = replace(self._writing, field_manager=field_manager)
        return await self._registry.patch(
            kind, namespace, name, _copied(patch), patch_type, options, subresource=subresource
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
        options = DeleteOptions(grace_period_seconds, propagation, uid)
        await self._registry.delete(kind, namespace, name, options)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        events = self._registry.watch(
            kind,
            namespace,
            resource_version=resource_version,
            label_selector=LabelSelector.parse(label_selector),
            field_selector=FieldSelector.parse(field_selector),
            bookmarks=True,
        )
        async for event, _ in events:
            yield event

    async def close(self) -> None:
        pass


def _copied(value: T) -> T:
    copy: T = orjson.loads(orjson.dumps(value))
    return copy
