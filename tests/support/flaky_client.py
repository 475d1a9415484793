"""A client on a bad line: the server goes away, watches break, answers are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection
from typing import Any, TypeVar

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.control.client import MERGE, Client, ObjectList, PatchType, WatchEvent
from fabric.errors import Gone, ServerUnavailable

T = TypeVar("T")


class FlakyClient(Client):
    """Passes everything on to `inner`, unless it is told not to."""

    def __init__(self, inner: Client) -> None:
        self._inner = inner
        self.down = False
        """The server does not answer."""
        self.answers_to_lose = 0
        """So many of the next writes are carried out, but their answers are lost."""
        self._broken = asyncio.Event()
        self._watched: set[Kind] = set()
        self._forgotten: set[Kind] = set()

    def break_watches(self, *, forgotten: bool = False, forgotten_kinds: Collection[Kind] = ()) -> None:
        """End all watches; of all kinds or of some the server has also lost the revisions they stood at."""
        self._broken.set()
        self._broken = asyncio.Event()
        self._forgotten |= self._watched if forgotten else set(forgotten_kinds)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        return await self._read(self._inner.get(kind, name, namespace))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        self._forgotten.discard(kind)
        options = {"label_selector": label_selector, "field_selector": field_selector}
        return await self._read(self._inner.list(kind, namespace, **options))

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        return await self._write(self._inner.create(kind, obj, namespace=namespace, subresource=subresource))

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        return await self._write(self._inner.update(kind, obj, subresource=subresource))

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
        options: Any = {"namespace": namespace, "subresource": subresource, "patch_type": patch_type}
        return await self._write(self._inner.patch(kind, name, patch, **options))

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
        options: Any = {"grace_period_seconds": grace_period_seconds, "propagation": propagation, "uid": uid}
        await self._write(self._inner.delete(kind, name, namespace, **options))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        await self._read(asyncio.sleep(0))
        self._watched.add(kind)
        if kind in self._forgotten:
            raise Gone(f"revision {resource_version} is forgotten")
        options: Any = {"label_selector": label_selector, "field_selector": field_selector}
        events = self._inner.watch(kind, namespace, resource_version=resource_version, **options)
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            while not broken.done():
                upcoming = asyncio.ensure_future(anext(events))
                try:
                    await asyncio.wait({upcoming, broken}, return_when=asyncio.FIRST_COMPLETED)
                    if broken.done():
                        return
                    yield upcoming.result()
                finally:
                    upcoming.cancel()
        finally:
            broken.cancel()

    async def close(self) -> None:
        await self._inner.close()

    async def _read(self, call: Awaitable[T]) -> T:
        if self.down:
            if asyncio.iscoroutine(call):
                call.close()
            raise ServerUnavailable("the server is away")
        return await call

    async def _write(self, call: Awaitable[T]) -> T:
        answer = await self._read(call)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise ServerUnavailable("the answer is lost")
        return answer
