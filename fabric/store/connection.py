"""A client's connection to a store server: a watcher that does not take its batches gets Compacted."""

from __future__ import annotations

from collections.abc import Callable

from fabric.errors import Compacted, StoreUnavailable
from fabric.frames import ClientConnection, Replies
from fabric.store import wire

STREAM_FRAMES_MAX = 256
Stream = Replies[wire.Reply]


class Connection(ClientConnection[wire.Reply]):
    """A connection to the store's server, for many requests at once."""

    REPLIES_MAX = STREAM_FRAMES_MAX

    async def ask(self, make: Callable[[int], wire.Request]) -> tuple[int, Stream]:
        """Send a request; StoreUnavailable when the connection is lost. `forget` it when done."""
        return await self.send(lambda id_: wire.frame(make(id_)))

    def cancellation(self, id_: int) -> bytes:
        return wire.frame(wire.Cancel(id_))

    def reply_of(self, body: bytes) -> wire.Reply:
        return wire.reply_of(body)

    def refusal_in(self, reply: wire.Reply) -> Exception | None:
        return wire.error_of(reply) if isinstance(reply, wire.Failure) else None

    def is_last(self, reply: wire.Reply) -> bool:
        return isinstance(reply, wire.Answer) and reply.last

    def lost(self, how: str) -> StoreUnavailable:
        return StoreUnavailable(f"the store at {self._name} {how}")

    def overrun(self) -> Compacted:
        return Compacted("this watcher was too slow: list again")
