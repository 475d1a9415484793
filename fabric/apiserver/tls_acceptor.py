"""The TLS acceptor takes strangers' connections from a listening socket, up to a number.

A connection beyond that number ends the one that has been without a request for longest, handshakes among
them. So a client that opens connections and leaves them takes no descriptor that others need.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from types import TracebackType

from fabric.apiserver.connections import BACKLOG, Limits, Server

_log = logging.getLogger(__name__)

DESCRIPTORS_SHARE = 4
"""One in so many of the process' descriptors is for a listener: there are two, and files and sockets."""
EXHAUSTED_SECONDS = 0.5
"""How long no connection is accepted after the process had no descriptor for one."""


class TlsAcceptor:
    """An acceptor hands the connections of `sock` to `http` while it is entered; `sock` is closed on exit."""

    def __init__(self, sock: socket.socket, http: Server, limits: Limits, tls: ssl.SSLContext) -> None:
        self._socket = sock
        self._http = http
        self._limits = limits
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._connections_max = min(limits.connections_max, descriptors // DESCRIPTORS_SHARE)
        self._tls = tls
        self._tasks = asyncio.TaskGroup()
        self._handshakes: dict[asyncio.Task[None], float] = {}
        """The handshakes that are going on, oldest first, and when each began in loop time."""

    async def __aenter__(self) -> TlsAcceptor:
        self._socket.listen(BACKLOG)
        await self._tasks.__aenter__()
        self._accepting = self._tasks.create_task(self._accept(), name="TLS acceptor")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._accepting, *self._handshakes):
            task.cancel()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._socket)
            except ConnectionError:
                continue
            except OSError as error:
                _log.warning("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(EXHAUSTED_SECONDS)
                continue
            if self._has_room():
                task = self._tasks.create_task(self._shake_hands(sock), name="TLS handshake")
                self._handshakes[task] = loop.time()
                task.add_done_callback(self._handshakes.pop)
            else:
                sock.close()

    async def _shake_hands(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._http,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=self._limits.header_seconds,
                ssl_shutdown_timeout=self._limits.stalled_seconds,
            )
        except OSError:
            # The client has hung up, spoke no TLS, or took too long: it is told by the close.
            sock.close()
        except Exception:
            _log.exception("a connection ended")
            sock.close()

    def _has_room(self) -> bool:
        """Whether one connection more can be held, after the longest idle one made room for it."""
        if len(self._http.connections) + len(self._handshakes) < self._connections_max:
            return True
        idle = min(self._http.idle_connections(), key=lambda each: each.used_at, default=None)
        handshake, began = next(iter(self._handshakes.items()), (None, 0.0))
        if handshake is not None and (idle is None or began < idle.used_at):
            handshake.cancel()
            return True
        if idle is not None:
            idle.force_close()
        return idle is not None
