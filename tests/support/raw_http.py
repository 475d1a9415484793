"""Plain HTTP to a server's unix socket, with whatever headers a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson


class RawHttp:
    """Requests by method and path."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Code, headers and body of the answer; header names are written with underscores."""
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, f"http://api{path}", data=data, headers=named) as answer:
            return answer.status, answer.headers, await answer.read()

    async def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's JSON, whatever its code."""
        return orjson.loads((await self(method, path, body, **headers))[2])


@asynccontextmanager
async def raw_http(socket_path: Path) -> AsyncIterator[RawHttp]:
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket_path)), skip_auto_headers=["Content-Type", "User-Agent"]
    ) as session:
        yield RawHttp(session)
