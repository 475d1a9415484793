"""A watch is one chunked answer without end: a line of JSON, or a frame of protobuf, for each event.

Plain watchers share each event's bytes, serialised once by the registry. A refusal after the head of
the answer is out becomes an ERROR event with the Status in it (410 sends the client to list again).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import orjson
from aiohttp import web

from fabric.api.objects import Object
from fabric.apiserver import negotiation, protobuf_codec, queries, status, tables, watching
from fabric.apiserver.negotiation import MediaType
from fabric.apiserver.registry import Registry
from fabric.apiserver.routes import Target
from fabric.control.client import WatchEvent
from fabric.control.clock import Clock
from fabric.errors import ApiError, FabricError

WATCH_SECONDS_MAX = 3600.0
"""A watch ends after this long at the latest; clients watch anew."""

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
    options = queries.list_options(query)
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
    form = media.name + ";stream=watch" * (media.name == negotiation.PROTOBUF)
    response = web.StreamResponse(headers={"Content-Type": form, "Cache-Control": "no-cache"})
    await response.prepare(request)
    try:
        async with asyncio.timeout(seconds), aclosing(shown.lines(events)) as lines:
            async for line in lines:
                await response.write(line)
    except TimeoutError:
        pass
    except FabricError as error:
        await response.write(shown.error(status.api_error(error)))
    except ConnectionError:
        raise
    except Exception as bug:
        await response.write(shown.error(status.unexpected(f"watch of {target.kind.plural}", bug)))
    await response.write_eof()
    return response


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
