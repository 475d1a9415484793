"""Waiting in the real lanes: for a condition, with a limit, never for a time.

A limit is what only a failure reaches, so it is long: the machine may be busy.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(condition: Callable[[], T | Awaitable[T]], *, seconds_max: float = 60.0) -> T:
    """Return the first true value of `condition`; AssertionError with its last value or error."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds_max
    last: object = None
    while True:
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value  # type: ignore[return-value]
            last = value
        except (AssertionError, OSError, LookupError) as error:
            last = error
        if loop.time() > deadline:
            raise AssertionError(f"not so after {seconds_max} s: {last!r}")
        await asyncio.sleep(0.02)
