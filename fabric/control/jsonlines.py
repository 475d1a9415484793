"""JSON values on lines, from chunks that are cut anywhere; a line may be megabytes long."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson

from fabric.errors import TooLarge

LINE_BYTES_MAX = 64 * 1024 * 1024


async def json_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    """Yield the value of each full line; TooLarge when a line is over 64 MiB."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        head, newline, rest = chunk.rpartition(b"\n")
        if newline:
            lines = b"".join((*parts, head)).split(b"\n")
            parts, size = [], 0
            for line in lines:
                if line.strip():
                    yield orjson.loads(line)
        parts.append(rest)
        size += len(rest)
        if size > LINE_BYTES_MAX:
            raise TooLarge(f"a line of a watch is over {LINE_BYTES_MAX} bytes")
