"""Endings tell listeners in which sandboxes and nodes something ended; a listener holds the unseen ids.

An id waits once however often it was told, so a slow listener costs as many entries as there are
sandboxes and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

EVERYTHING = ""
"""The id that stands for all sandboxes and nodes: anything may have ended unseen."""


class Endings:
    """The listeners of one runtime."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def tell(self, sandbox: str) -> None:
        """Name a sandbox to every listener."""
        for listener in self._listeners:
            listener.add(sandbox)

    async def listen(self) -> AsyncIterator[str]:
        """Yield "" first, then ids as they are told, in their order."""
        listener = _Listener()
        listener.add(EVERYTHING)
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.next()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._told = asyncio.Event()

    def add(self, sandbox: str) -> None:
        self._waiting[sandbox] = None
        self._told.set()

    async def next(self) -> str:
        while not self._waiting:
            self._told.clear()
            await self._told.wait()
        first = next(iter(self._waiting))
        del self._waiting[first]
        return first
