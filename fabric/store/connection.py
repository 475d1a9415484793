"""A client's connection to a store server: requests out, streams of answers in.

Sans tasks: the transport calls in, waiting callers are futures. A stream is bounded; a watcher that
does not take its batches is cut off with Compacted while the others on the connection go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from fabric.errors import Compacted, StoreUnavailable
from fabric.frames import BadFrame, Frames
from fabric.store import wire

STREAM_FRAMES_MAX = 256


class Stream:
    """The answers to one request, in order, then its end."""

    def __init__(self) -> None:
        self._answers: deque[wire.Answer] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> wire.Answer:
        """The next answer; raises what the server refused with, or what ended the connection."""
        while not self._answers:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._answers.popleft()

    def deliver(self, answer: wire.Answer) -> bool:
        """False when the stream is full and therefore ended."""
        if len(self._answers) >= STREAM_FRAMES_MAX:
            self._answers.clear()
            self.end(Compacted("this watcher was too slow: list again"))
            return False
        self._answers.append(answer)
        self._wake()
        return True

    def end(self, error: Exception) -> None:
        self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """A connection to the store's server, for many requests at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames = Frames()
        self._streams: dict[int, Stream] = {}
        self._last_id = 0
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def ask(self, make: Callable[[int], wire.Request]) -> tuple[int, Stream]:
        """Send a request; StoreUnavailable when the connection is lost. `forget` it when done."""
        await self._writable.wait()
        if self._transport is None:
            raise StoreUnavailable(f"the store at {self._name} closed the connection")
        self._last_id += 1
        stream = self._streams[self._last_id] = Stream()
        self._transport.write(wire.frame(make(self._last_id)))
        return self._last_id, stream

    def forget(self, id_: int, *, cancel: bool = False) -> None:
        """Take no more answers to a request; `cancel` also tells the server."""
        if self._streams.pop(id_, None) and cancel and self._transport is not None:
            self._transport.write(wire.frame(wire.Cancel(id_)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._end(StoreUnavailable("the store is closed"))

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
            self._end(StoreUnavailable(f"the store at {self._name} sent {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(StoreUnavailable(f"the store at {self._name} closed the connection"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _dispatch(self, reply: wire.Answer | wire.Failure) -> None:
        stream = self._streams.get(reply.id)
        if stream is None:
            return
        if isinstance(reply, wire.Failure):
            stream.end(wire.error_of(reply))
            self.forget(reply.id)
        elif not stream.deliver(reply):
            self.forget(reply.id, cancel=True)
        elif reply.last:
            self.forget(reply.id)

    def _end(self, error: StoreUnavailable) -> None:
        self._transport = None
        self._writable.set()
        for stream in self._streams.values():
            stream.end(error)
        self._streams.clear()
