"""Listeners: a listening socket, unix or TLS, and the HTTP connections that it accepted."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from fabric.apiserver.bodies import BODY_BYTES_MAX
from fabric.apiserver.connections import BACKLOG, Handler, Limits, Server
from fabric.apiserver.tls_acceptor import TlsAcceptor
from fabric.errors import ServerUnavailable


def _is_ours(record: logging.LogRecord) -> bool:
    """False for the records of malformed HTTP: it is answered with 400, and is the client's fault."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)


_log = logging.getLogger(__name__)
_log.addFilter(_is_ours)

CLOSE_SECONDS_MAX = 1.0


class Listener:
    """A listener accepts connections on `sock` while it is entered, and closes them and the socket on exit.

    A handler is cancelled when its client hangs up, so that a watch does not outlive its watcher.
    """

    def __init__(
        self, sock: socket.socket, handler: Handler, limits: Limits, tls: ssl.SSLContext | None = None
    ) -> None:
        self._socket = sock
        self._handler = handler
        self._limits = limits
        self._tls = tls

    async def __aenter__(self) -> Listener:
        self._http = http_server(self._handler, self._limits)
        self._closing = AsyncExitStack()
        if self._tls is None:
            await self._serve_unix()
        else:
            await self._closing.enter_async_context(
                TlsAcceptor(self._socket, self._http, self._limits, self._tls)
            )
        return self

    async def _serve_unix(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(self._http, sock=self._socket, backlog=BACKLOG)
        self._closing.callback(server.close)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()
        self._http.pre_shutdown()
        await self._http.shutdown(CLOSE_SECONDS_MAX)


def http_server(handler: Handler, limits: Limits) -> Server:
    """Return a maker of HTTP connections that `handler` answers."""
    return Server(
        handler,
        limits,
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
        logger=_log,
    )


def unix_socket(path: Path) -> socket.socket:
    """Bind a socket at `path` for its owner only, in place of one that a dead server left there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.bind(str(draft))
    draft.chmod(0o600)
    sock.listen(BACKLOG)
    draft.replace(path)
    return sock


def tls_socket(place: tuple[str, int] | socket.socket) -> socket.socket:
    """Bind a TCP socket at host and port; a socket that is open already is taken as it is.

    ServerUnavailable when the address is taken or not this machine's.
    """
    if isinstance(place, socket.socket):
        place.setblocking(False)
        return place
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(place)
    except OSError as error:
        sock.close()
        raise ServerUnavailable(
            f"cannot listen on {place[0]} port {place[1]}: {error.strerror}; "
            "free the port or choose another one"
        ) from error
    return sock


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)
