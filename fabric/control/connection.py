"""A component's connection to the API server: requests out, answers and streams of events in.

A watch whose events are not taken is cut off with Gone: its informer lists again.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from fabric.control import wire
from fabric.control.refusals import refusal
from fabric.errors import ApiError, Gone, ServerUnavailable
from fabric.frames import ClientConnection, Replies

EVENTS_MAX = 20_000
"""How many events of a watch wait for whoever watches: twice what the server remembers."""


class Connection(ClientConnection[wire.Reply]):
    """A connection to the API server, for many requests at once."""

    REPLIES_MAX = EVENTS_MAX

    async def ask(self, make: Callable[[int], wire.Request]) -> tuple[int, Replies[wire.Reply]]:
        """Send a request; ServerUnavailable when the connection is lost. `forget` it when done."""
        return await self.send(lambda id_: wire.frame(make(id_)))

    def cancellation(self, id_: int) -> bytes:
        return wire.frame(wire.Cancel(id_))

    def reply_of(self, body: bytes) -> wire.Reply:
        return wire.reply_of(body)

    def refusal_in(self, reply: wire.Reply) -> ApiError | None:
        return refusal(orjson.loads(reply.body)) if isinstance(reply, wire.Failure) else None

    def is_last(self, reply: wire.Reply) -> bool:
        return isinstance(reply, wire.Answer) and reply.last

    def lost(self, how: str) -> ServerUnavailable:
        return ServerUnavailable(f"the API server at {self._name} {how}")

    def overrun(self) -> Gone:
        return Gone(f"this watch has {EVENTS_MAX} events waiting: list again")
