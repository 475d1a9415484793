"""Frames cut a stream of bytes into messages, and a client's connection has many requests under way in them.

A frame is four bytes of length, then that many bytes. The sockets of the store and of the API server for
components use them. Callers wait on futures; the transport calls in.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar, cast

FRAME_BYTES_MAX = 64 << 20
HEADER_BYTES = 4


class BadFrame(Exception):
    """The peer does not speak this protocol: the connection ends."""


def frame(body: bytes) -> bytes:
    """Return the body behind its length."""
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Frames:
    """The frames of a stream, cut out of its bytes without I/O."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now. BadFrame when one is too large."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            size = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if size > FRAME_BYTES_MAX:
                raise BadFrame(f"a frame of {size} bytes (at most {FRAME_BYTES_MAX})")
            end = HEADER_BYTES + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield body


class Reply(Protocol):
    """A message that carries the id of the request which it answers."""

    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=Reply)
CLOSED = "is left: this client is closed"


class Replies(Generic[R]):
    """The replies to one request in their order, then its end; `limit` of them wait to be taken."""

    __slots__ = ("_error", "_limit", "_overrun", "_replies", "_waiter")

    def __init__(self, limit: int, overrun: Callable[[], Exception]) -> None:
        self._limit = limit
        self._overrun = overrun
        self._replies: deque[R] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> R:
        """Return the next reply; raises the refusal, or what ended the connection."""
        while not self._replies:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._replies.popleft()

    def deliver(self, reply: R) -> bool:
        """Take a reply; False when there is no room: the stream has ended, then."""
        if len(self._replies) >= self._limit:
            self._replies.clear()
            self.end(self._overrun())
            return False
        self._replies.append(reply)
        self._wake()
        return True

    def end(self, error: Exception) -> None:
        self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ClientConnection(asyncio.Protocol, ABC, Generic[R]):
    """A client's connection for many requests at once; a subclass knows the messages and their errors.

    A stream whose replies are not taken is cut off, while the others on the connection go on.
    """

    REPLIES_MAX: ClassVar[int]
    """How many replies to one request wait to be taken."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames = Frames()
        self._under_way: dict[int, Replies[R]] = {}
        self._last_id = 0
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def send(self, make: Callable[[int], bytes]) -> tuple[int, Replies[R]]:
        """Send the frame that `make` gives for an id; `forget` it when done. Raises `lost` when it is."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self._transport is None:
            raise self.lost("closed the connection")
        self._last_id += 1
        replies = self._under_way[self._last_id] = Replies(self.REPLIES_MAX, self.overrun)
        self._transport.write(make(self._last_id))
        return self._last_id, replies

    def forget(self, id_: int) -> None:
        """Take no more replies to a request; the server is told when it is not done."""
        if self._under_way.pop(id_, None) is not None and self._transport is not None:
            self._transport.write(self.cancellation(id_))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._end(self.lost(CLOSED))

    @abstractmethod
    def cancellation(self, id_: int) -> bytes:
        """Return the frame that ends a request."""

    @abstractmethod
    def reply_of(self, body: bytes) -> R:
        """Read a reply, or a refusal; BadFrame when it is neither."""

    @abstractmethod
    def refusal_in(self, reply: R) -> Exception | None:
        """Return the error that a refusal tells of; None for a reply."""

    @abstractmethod
    def is_last(self, reply: R) -> bool:
        """Tell whether the request is done with this reply."""

    @abstractmethod
    def lost(self, how: str) -> Exception:
        """Return the error of requests whose connection ended that way."""

    @abstractmethod
    def overrun(self) -> Exception:
        """Return the error of a stream whose replies nobody took."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._dispatch(self.reply_of(body))
        except BadFrame as error:
            if self._transport is not None:
                self._transport.abort()
            self._end(self.lost(f"sent {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(self.lost("closed the connection"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _dispatch(self, reply: R) -> None:
        replies = self._under_way.get(reply.id)
        if replies is None:
            return
        if (refusal := self.refusal_in(reply)) is not None:
            del self._under_way[reply.id]
            replies.end(refusal)
        elif not replies.deliver(reply):
            self.forget(reply.id)
        elif self.is_last(reply):
            del self._under_way[reply.id]

    def _end(self, error: Exception) -> None:
        self._transport = None
        self._writable.set()
        for replies in self._under_way.values():
            replies.end(error)
        self._under_way.clear()
