"""The API server's HTTP side: it listens, finds out who asks and for what, and answers.

A unix socket speaks plain HTTP to whoever may open it, another one frames; every other listener speaks TLS.
There is no routing table and no middleware: a request goes straight from its path to the registry. A refusal
is answered as a Status. No request ends the server: an unexpected exception is logged and answered with 500.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from fabric.apiserver import negotiation, status
from fabric.apiserver.authentication import OPEN_PATHS, authenticate, refuse_impersonation
from fabric.apiserver.certificates import Pki
from fabric.apiserver.component_listener import ComponentListener
from fabric.apiserver.component_requests import ComponentRequests
from fabric.apiserver.connections import Handler, Limits
from fabric.apiserver.documents import Documents
from fabric.apiserver.listeners import Listener, tls_socket, unix_socket
from fabric.apiserver.registry import Registry
from fabric.apiserver.resources import Resources
from fabric.apiserver.routes import target_of, unknown_path
from fabric.control.clock import Clock, LoopClock
from fabric.errors import ApiError, FabricError, NotAcceptable


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The configuration of an API server: its listeners, its PKI and its tokens."""

    socket_path: Path | None = None
    """A unix socket that speaks HTTP; made anew, 0600."""
    components_path: Path | None = None
    """A unix socket for the cluster's own components, which speaks in frames; made anew, 0600."""
    tls: Sequence[tuple[str, int] | socket.socket] = ()
    """Addresses to bind (port 0: any), or stream sockets that are bound already."""
    pki: Pki | None = None
    """Needed by TLS listeners."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Bearer tokens and the users that they stand for."""
    clock: Clock = field(default_factory=LoopClock)
    """The clock that ages are computed by."""
    limits: Limits = field(default_factory=Limits)


class ApiServer:
    """The server of a registry: make it, `run` it, and wait for `started`."""

    def __init__(self, registry: Registry, config: ServerConfig) -> None:
        self._registry = registry
        self._config = config
        self._documents = Documents(registry.kinds)
        self._resources: Resources
        self._listening = asyncio.Event()
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where TLS is served, in the configuration's order; known once started."""

    async def started(self) -> None:
        """Return when all listeners accept connections."""
        await self._listening.wait()

    async def run(self) -> None:
        """Serve until cancelled. ServerUnavailable when an address is taken."""
        async with AsyncExitStack() as stack:
            writes = await stack.enter_async_context(asyncio.TaskGroup())
            self._resources = Resources(self._registry, self._config.clock, writes)
            for listener in self._listeners():
                await stack.enter_async_context(listener)
            if self._config.components_path is not None:
                requests = ComponentRequests(self._registry)
                components = ComponentListener(self._config.components_path, requests, writes)
                await stack.enter_async_context(components)
            self._listening.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._listening.clear()

    def _listeners(self) -> Sequence[Listener]:
        config = self._config
        found = []
        if config.socket_path is not None:
            found.append(Listener(unix_socket(config.socket_path), self._trusted, config.limits))
        if config.tls:
            if config.pki is None:
                raise ValueError("TLS listeners need a PKI")
            context = config.pki.server_context()
            sockets = [tls_socket(place) for place in config.tls]
            self.addresses = tuple(sock.getsockname()[:2] for sock in sockets)
            found += [Listener(sock, self._authenticated, config.limits, context) for sock in sockets]
        return found

    async def _trusted(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._guarded(request, self._answer)

    async def _authenticated(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._guarded(request, self._answer_if_known)

    async def _guarded(self, request: web.BaseRequest, answer: Handler) -> web.StreamResponse:
        try:
            return await answer(request)
        except FabricError as error:
            return _refusal(request, status.api_error(error))
        except ConnectionError:
            # The client has hung up: nobody reads this, and it is nobody's fault.
            return web.Response()
        except Exception as bug:
            return _refusal(request, status.unexpected(f"{request.method} {request.path}", bug))

    async def _answer_if_known(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path not in OPEN_PATHS:
            certificate: Mapping[str, Any] | None = request.get_extra_info("peercert")
            authenticate(certificate, request.headers.get("Authorization", ""), self._config.tokens)
        return await self._answer(request)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        target = target_of(request.path, self._registry.kinds)
        if target is not None:
            refuse_impersonation(request.headers)
            return await self._resources.answer(request, target)
        document = self._documents.answer(request)
        if document is None:
            raise unknown_path(request.path)
        return document


def _refusal(request: web.BaseRequest, error: ApiError) -> web.Response:
    """The refusal as the client accepts it, and as JSON when it accepts nothing that there is."""
    try:
        media = negotiation.choose(request.headers.get("Accept", ""), negotiation.STATUS_OFFERS)
    except NotAcceptable:
        media = negotiation.PLAIN
    headers = {"Content-Type": media.name}
    if retry := error.details.get("retryAfterSeconds"):
        headers["Retry-After"] = str(retry)
    body = negotiation.encode(status.failure(error), media)
    return web.Response(body=body, status=error.code, headers=headers)
