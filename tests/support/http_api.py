"""A real HTTP server that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web


class HttpApi:
    """`answers` maps "METHOD /path" to (code, body); a watch streams what `chunks` holds until None."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.watching = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.headers.append(dict(request.headers))
        self.asked.append((request.method, request.path_qs, orjson.loads(body) if body else None))
        code, reply = self.answers.get(f"{request.method} {request.path}", (200, {"kind": "Ok"}))
        if "watch" in request.query and code == 200:
            return await self._stream(request)
        text = reply if isinstance(reply, bytes) else orjson.dumps(reply)
        return web.Response(status=code, body=text, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.watching += 1
        try:
            while (chunk := await self.chunks.get()) is not None:
                if chunk == b"cut":
                    request.transport.close()  # type: ignore[union-attr]
                    return response
                await response.write(chunk)
        except ConnectionResetError:
            pass  # The client has left.
        finally:
            self.watching -= 1
        return response


@asynccontextmanager
async def serving(
    api: HttpApi, *, unix: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve on a unix socket, or on a free port of the loopback; yields the URL (empty for unix)."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site: web.BaseSite
        if unix is not None:
            site = web.UnixSite(runner, str(unix))
        else:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield "" if unix else f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
