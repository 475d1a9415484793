"""A watch is one chunked answer without end: a line of JSON, or a frame of protobuf, for each event.

A client that asks for a WebSocket, as browsers do, gets each of them as a message, text or binary.

Plain watchers share each event's bytes, serialised once by the registry. A refusal after the head of
the answer is out becomes an ERROR event with the Status in it (410 sends the client to list again).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
from aiohttp import web

from fabric.api.objects import Object
from fabric.api.selectors import FieldRequirement, FieldSelector
from fabric.apiserver import negotiation, protobuf_codec, queries, status, tables, watching
from fabric.apiserver.negotiation import MediaType
from fabric.apiserver.options import ListOptions
from fabric.apiserver.registry import Registry
from fabric.apiserver.routes import Target
from fabric.control.client import WatchEvent
from fabric.control.clock import Clock
from fabric.errors import ApiError, BadRequest, FabricError

WATCH_SECONDS_MAX = 3600.0
"""A watch ends after this long at the latest; clients watch anew."""

MESSAGE_BYTES_MAX = 4096
"""Of what a client sends over a watch's WebSocket, which is nothing but control frames."""

Event = tuple[WatchEvent, bytes]


async def serve_watch(
    request: web.BaseRequest, target: Target, registry: Registry, clock: Clock
) -> web.StreamResponse:
    """Stream the events of what the target names until the client leaves or the time is up."""
    query = request.query
    offers = negotiation.offers_of(target.kind, watch=True)
    media = negotiation.choose(request.headers.get("Accept", ""), offers)
    shown = Shown(target, media, query.get("includeObject", "Metadata"), clock)
    seconds = min(queries.whole_number(query, "timeoutSeconds") or WATCH_SECONDS_MAX, WATCH_SECONDS_MAX)
    options = _of_the_name(target.name, queries.list_options(query))
    watching.check_options(options)
    events = registry.watch(
        target.kind,
        target.namespace,
        resource_version=options.resource_version,
        label_selector=options.label_selector,
        field_selector=options.field_selector,
        bookmarks=queries.truth(query, "allowWatchBookmarks"),
        send_initial_events=bool(options.send_initial_events),
    )
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _serve_messages(request, shown, events, seconds)
    form = media.name + ";stream=watch" * (media.name == negotiation.PROTOBUF)
    response = web.StreamResponse(headers={"Content-Type": form, "Cache-Control": "no-cache"})
    await response.prepare(request)
    await _send(shown, events, seconds, response.write)
    await response.write_eof()
    return response


def _of_the_name(name: str, options: ListOptions) -> ListOptions:
    """The options of a watch of the one object of that name, where a path names one."""
    if not name:
        return options
    if not options.field_selector.requirements:
        one = FieldSelector((FieldRequirement("metadata.name", name),))
        return replace(options, field_selector=one)
    if options.field_selector.exact("metadata.name") != name:
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    return options


async def _serve_messages(
    request: web.BaseRequest, shown: Shown, events: AsyncIterator[Event], seconds: float
) -> web.StreamResponse:
    """Send the events as messages of a WebSocket; what the client sends is not looked at."""
    socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES_MAX)
    await socket.prepare(request)

    async def write(line: bytes) -> None:
        if shown.media.name == negotiation.PROTOBUF:
            await socket.send_bytes(line)
        else:
            await socket.send_str(line.decode())

    async def listen() -> None:
        async for _ in socket:
            pass

    both = {asyncio.create_task(_send(shown, events, seconds, write)), asyncio.create_task(listen())}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    await socket.close()
    return socket


async def _send(
    shown: Shown, events: AsyncIterator[Event], seconds: float, write: Callable[[bytes], Awaitable[None]]
) -> None:
    """Write the events until the time is up; a refusal on the way is the last of them."""
    try:
        async with asyncio.timeout(seconds), aclosing(shown.lines(events)) as lines:
            async for line in lines:
                await write(line)
    except TimeoutError:
        pass
    except FabricError as error:
        await write(shown.error(status.api_error(error)))
    except ConnectionError:
        raise
    except Exception as bug:
        await write(shown.error(status.unexpected(f"watch of {shown.target.kind.plural}", bug)))


@dataclass(frozen=True, slots=True)
class Shown:
    """A watch's encoding of events: media type, and Table or metadata instead of the object."""

    target: Target
    media: MediaType
    include: str
    clock: Clock

    async def lines(self, events: AsyncIterator[Event]) -> AsyncGenerator[bytes, None]:
        """The events, a line each; closes `events` when it is closed."""
        is_first = True
        try:
            async for event, data in events:
                if not self.media.as_ and self.media.name == negotiation.JSON:
                    yield b'{"type":"%b","object":%b}\n' % (event.type.encode(), data)
                else:
                    obj = self._object(event, is_first, self.clock.now())
                    is_first = is_first and event.type == "BOOKMARK"
                    yield self._line(event.type, obj)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _object(self, event: WatchEvent, is_first: bool, now: datetime) -> Object:
        """The event's object as the client asked; only the first Table names its columns."""
        if not self.media.as_:
            return event.object
        if self.media.as_ != "Table":
            return tables.metadata_only(event.object, self.media.group_version)
        rows = () if event.type == "BOOKMARK" else (event.object,)
        meta = {"resourceVersion": event.object["metadata"].get("resourceVersion", "")}
        table = tables.table(self.target.kind, rows, meta, self.media.group_version, self.include, now)
        return table if is_first else table | {"columnDefinitions": None}

    def error(self, error: ApiError) -> bytes:
        """The last event of a watch that ends with a refusal."""
        return self._line("ERROR", status.failure(error))

    def _line(self, type_: str, obj: Object) -> bytes:
        if self.media.name == negotiation.PROTOBUF:
            return protobuf_codec.watch_frame(type_, obj)
        return orjson.dumps({"type": type_, "object": obj}, option=orjson.OPT_APPEND_NEWLINE)
