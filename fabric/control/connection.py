"""A component's connection to the API server: requests out, answers and streams of events in.

Callers wait on futures; the transport calls in. A watch whose events are not taken is cut off with Gone while
the others on the connection go on: its informer lists again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

import orjson

from fabric.control import wire
from fabric.control.refusals import refusal
from fabric.errors import ApiError, Gone, ServerUnavailable
from fabric.frames import BadFrame, Frames

EVENTS_MAX = 20_000
"""How many events of a watch wait for whoever watches: twice what the server remembers."""


class Replies:
    """The replies to one request in their order, then its end."""

    __slots__ = ("_error", "_limit", "_replies", "_waiter")

    def __init__(self, limit: int = EVENTS_MAX) -> None:
        self._limit = limit
        self._replies: deque[wire.Answer | wire.Event] = deque()
        self._error: ApiError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> wire.Answer | wire.Event:
        """The next reply; raises the refusal, or what ended the connection."""
        while not self._replies:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._replies.popleft()

    def deliver(self, reply: wire.Answer | wire.Event) -> bool:
        """False when there is no room: the stream has ended, then."""
        if len(self._replies) >= self._limit:
            self._replies.clear()
            self.end(Gone(f"this watch has {self._limit} events waiting: list again"))
            return False
        self._replies.append(reply)
        self._wake()
        return True

    def end(self, error: ApiError) -> None:
        self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """A connection for many requests at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames = Frames()
        self._under_way: dict[int, Replies] = {}
        self._last_id = 0
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def ask(self, make: Callable[[int], wire.Request]) -> tuple[int, Replies]:
        """Send a request; ServerUnavailable when the connection is lost. `forget` it when done."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self._transport is None:
            raise self._lost()
        self._last_id += 1
        replies = self._under_way[self._last_id] = Replies()
        self._transport.write(wire.frame(make(self._last_id)))
        return self._last_id, replies

    def forget(self, id_: int) -> None:
        """Take no more replies to a request; the server is told when it is not done."""
        if self._under_way.pop(id_, None) is not None and self._transport is not None:
            self._transport.write(wire.frame(wire.Cancel(id_)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._end(ServerUnavailable("the client is closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._dispatch(wire.reply_of(body))
        except BadFrame as error:
            if self._transport is not None:
                self._transport.abort()
            self._end(ServerUnavailable(f"the API server at {self._name} sent {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(self._lost())

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _dispatch(self, reply: wire.Reply) -> None:
        replies = self._under_way.get(reply.id)
        if replies is None:
            return
        if isinstance(reply, wire.Failure):
            del self._under_way[reply.id]
            replies.end(refusal(orjson.loads(reply.body)))
        elif not replies.deliver(reply):
            self.forget(reply.id)
        elif isinstance(reply, wire.Answer) and reply.last:
            del self._under_way[reply.id]

    def _lost(self) -> ServerUnavailable:
        return ServerUnavailable(f"the API server at {self._name} closed the connection")

    def _end(self, error: ServerUnavailable) -> None:
        self._transport = None
        self._writable.set()
        for replies in self._under_way.values():
            replies.end(error)
        self._under_way.clear()
