"""The client of the cluster's own components: one connection to the API server's socket, for all requests.

The socket is trusted: whoever may open it may do everything. A server that cannot be reached, or that goes
away before it answered, is `ServerUnavailable`; every other refusal is the `ApiError` that its Status names.
A request that was cut off may have been carried out: the caller reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object, key_of
from fabric.control import wire
from fabric.control.client import MERGE, Client, ObjectList, PatchType, WatchEvent, delete_options
from fabric.control.connection import Connection
from fabric.errors import ServerUnavailable, TooLarge
from fabric.frames import FRAME_BYTES_MAX

REQUEST_SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0
BODY_BYTES_MAX = FRAME_BYTES_MAX // 2
"""The most that is sent at all; the server takes less."""

Make = Callable[[int], wire.Request]
Parts = list[bytes]


class FramedClient(Client):
    """A client of the API server at a unix socket; use it in one event loop, close it."""

    def __init__(self, path: Path | str, *, seconds_max: float = REQUEST_SECONDS_MAX) -> None:
        self._path = str(path)
        self._seconds_max = seconds_max
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        return await self._object(self._of(wire.Get, kind, namespace, name))

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        make = self._of(wire.List, kind, namespace, label_selector, field_selector)
        *parts, last = await self._answers(make)
        items = tuple(item for part in parts for item in orjson.loads(part))
        return ObjectList(items, orjson.loads(last)["resourceVersion"])

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        meta = obj["metadata"]
        namespace = namespace or meta.get("namespace") or ""
        name = meta["name"] if subresource else ""
        return await self._object(self._of(wire.Create, kind, namespace, name, subresource, _body(obj)))

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        namespace, name = key_of(obj)
        return await self._object(self._of(wire.Update, kind, namespace, name, subresource, _body(obj)))

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
        rest = name, subresource, _body(patch), patch_type, field_manager
        return await self._object(self._of(wire.Patch, kind, namespace, *rest))

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
        options = delete_options(grace_period_seconds, propagation, uid)
        await self._answers(self._of(wire.Delete, kind, namespace, name, _body(options)))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        connection = await self._connected()
        selectors = label_selector, field_selector
        make = self._of(wire.Watch, kind, namespace, resource_version, *selectors)
        id_, replies = await connection.ask(make)
        try:
            while True:
                event = cast(wire.Event, await replies.next())
                yield WatchEvent(cast(Any, event.event), orjson.loads(event.body))
        finally:
            connection.forget(id_)

    async def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @staticmethod
    def _of(request: Callable[..., wire.Request], kind: Kind, namespace: str, *rest: object) -> Make:
        resource = wire.resource_of(kind)
        scope = namespace if kind.namespaced else ""
        return lambda id_: request(id_, resource, scope, *rest)

    async def _object(self, make: Make) -> Object:
        (body,) = await self._answers(make)
        obj: Object = orjson.loads(body)
        return obj

    async def _answers(self, make: Make) -> Parts:
        """All parts of the answer to a request."""
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self._connected()
        try:
            async with asyncio.timeout(self._seconds_max):
                id_, replies = await connection.ask(make)
                try:
                    parts: Parts = []
                    is_last = False
                    while not is_last:
                        answer = cast(wire.Answer, await replies.next())
                        parts.append(answer.body)
                        is_last = answer.last
                    return parts
                finally:
                    connection.forget(id_)
        except TimeoutError:
            raise ServerUnavailable(
                f"the API server at {self._path} did not answer in {self._seconds_max:.0f} s"
            ) from None

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    _, self._connection = await loop.create_unix_connection(
                        partial(Connection, self._path), self._path
                    )
            except (OSError, TimeoutError) as error:
                raise ServerUnavailable(f"the API server at {self._path}: {error or 'no answer'}") from error
            return self._connection


def _body(value: Any) -> bytes:
    body = orjson.dumps(value)
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"the body has {len(body)} bytes; at most {BODY_BYTES_MAX} are sent")
    return body
