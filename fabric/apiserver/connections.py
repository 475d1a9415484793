"""Connections of HTTP clients, with limits on how long a client may hold one without using it.

A header has 1 MiB at most, and must be complete 32 s after the connection was accepted, or after the first
byte of a later header; a connection without a request is closed after 90 s, as at kube-apiserver.
A client that takes nothing of its answer, list or watch, for 30 s is hung up: nobody waits for it for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

BACKLOG = 1024
"""Connections that wait to be accepted; Linux cuts it to net.core.somaxconn."""

HEADER_BYTES_MAX = 1 << 20
"""MaxHeaderBytes."""
HEADERS_MAX = 1024
_HEADER_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on a client's connections; times in seconds."""

    header_seconds: float = 32.0
    """ReadHeaderTimeout; the TLS handshake has as long."""
    idle_seconds: float = 90.0
    """IdleTimeout."""
    stalled_seconds: float = 30.0
    """How long an answer may wait for a client that takes nothing of it."""
    connections_max: int = 4096
    """Connections of one TLS listener, or a quarter of the process' descriptors where that is less.

    One more closes the one that has been idle for longest.
    """


class Server(web.Server):
    """The HTTP server of a listener: it makes a connection for each socket that was accepted."""

    def __init__(self, handler: Handler, limits: Limits, **options: Any) -> None:
        super().__init__(handler, **options)
        self._limits = limits

    def __call__(self) -> Connection:
        return Connection(self, self._limits, loop=self._loop, **self._kwargs)

    def idle_connections(self) -> Iterator[Connection]:
        """The connections on which no request is being answered."""
        return (each for each in self.connections if isinstance(each, Connection) and each.is_idle)


class Connection(RequestHandler):
    """A client's connection, from its acceptance to its end."""

    __slots__ = (
        "_header_bytes",
        "_header_timer",
        "_is_tls",
        "_limits",
        "_stall_timer",
        "_unread",
        "_wire",
        "used_at",
    )

    def __init__(self, server: web.Server, limits: Limits, **options: Any) -> None:
        super().__init__(
            server,
            keepalive_timeout=limits.idle_seconds,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,
            **options,
        )
        self._limits = limits
        self._header_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._unread = 0
        self._wire: asyncio.Transport
        self.used_at = self._loop.time()
        """When the client last sent something, in loop time."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered: none has come, or its header is not complete."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # uvloop's transports have the methods of asyncio's, and not its classes.
        self._wire = cast(asyncio.Transport, transport)
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        self._start_header_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._stop_header_timer()
        self._stop_stall_timer()

    def data_received(self, data: bytes) -> None:
        self.used_at = self._loop.time()
        requests = self._request_count
        super().data_received(data)
        if self._request_count != requests:
            self._stop_header_timer()
            self._header_bytes = 0
        elif self.is_idle:
            self._take_header(len(data))

    async def start(self) -> None:
        """Answer requests until the connection ends, and see that the last answer is taken."""
        try:
            await super().start()
        finally:
            self._start_stall_timer()

    def force_close(self) -> None:
        """Close the connection, once the client has taken what it was sent or has stopped taking it."""
        super().force_close()
        self._start_stall_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall_timer()

    def _take_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_timer is None:
            self._start_header_timer()
        if self._header_bytes > HEADER_BYTES_MAX:
            self._wire.write(_HEADER_TOO_LARGE)
            self.force_close()

    def _start_header_timer(self) -> None:
        self._header_timer = self._loop.call_later(self._limits.header_seconds, self._end_header)

    def _end_header(self) -> None:
        self._header_timer = None
        if self.is_idle:
            self.force_close()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _start_stall_timer(self) -> None:
        if self._stall_timer is None and (unread := self._unread_bytes()):
            self._unread = unread
            self._stall_timer = self._loop.call_later(self._limits.stalled_seconds, self._end_stall)

    def _end_stall(self) -> None:
        self._stall_timer = None
        if self._unread_bytes() >= self._unread:
            self._wire.abort()
        else:
            self._start_stall_timer()

    def _unread_bytes(self) -> int:
        """The bytes that wait for the client; none when TLS closes: the event loop has a limit there."""
        is_closing_tls = self._is_tls and self._wire.is_closing()
        return 0 if is_closing_tls else self._wire.get_write_buffer_size()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
