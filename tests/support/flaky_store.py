"""A store on a bad line: it goes away, watches break, answers are lost; and what travels is counted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from fabric.errors import StoreUnavailable
from fabric.store.memory import MemoryStore
from fabric.store.port import Compare, Delete, KeyValue, Put, RangeResult, StoreEvent, TxnResult

T = TypeVar("T")


class FlakyStore:
    """Passes everything on to `inner`, unless it is told not to; implements Store."""

    def __init__(self, rng: random.Random | None = None) -> None:
        """With `rng` calls travel, so that others get in between any two of them."""
        self.inner = MemoryStore()
        self._rng = rng
        self.calls: list[str] = []
        """The verb and the key of each call, watches too."""
        self._down = False
        self._calls_left: int | None = None
        self._write_to_lose = 0
        self._broken = asyncio.Event()

    @property
    def down(self) -> bool:
        """The store does not answer, and its watches have ended."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        self._calls_left = None
        if down:
            self.break_watches()

    def down_after(self, calls: int) -> None:
        """Go away after so many calls."""
        self._calls_left = calls

    def lose_answer_of_write(self, number: int) -> None:
        """The write of that number from now on is carried out, but its answer is lost."""
        self._write_to_lose = number

    def break_watches(self) -> None:
        """End all watches, as a server does that restarts."""
        self._broken.set()
        self._broken = asyncio.Event()

    async def get(self, key: str) -> KeyValue | None:
        return await self._passed("get", key, lambda: self.inner.get(key))

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        options: Any = {"start_after": start_after, "limit": limit, "revision": revision}
        return await self._passed("range", prefix, lambda: self.inner.range(prefix, **options))

    async def txn(self, compares: Sequence[Compare], success: Sequence[Put | Delete]) -> TxnResult:
        keys = " ".join(op.key for op in success)
        result = await self._passed("txn", keys, lambda: self.inner.txn(compares, success))
        self._write_to_lose -= 1
        if not self._write_to_lose:
            raise StoreUnavailable("the answer is lost")
        return result

    async def watch(self, prefix: str, *, from_revision: int = 0) -> AsyncIterator[Sequence[StoreEvent]]:
        await self._passed("watch", prefix, lambda: asyncio.sleep(0))
        batches = self.inner.watch(prefix, from_revision=from_revision)
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            while True:
                upcoming = asyncio.ensure_future(anext(batches))
                try:
                    await asyncio.wait({upcoming, broken}, return_when=asyncio.FIRST_COMPLETED)
                    if broken.done():
                        raise StoreUnavailable("the store went away")
                    yield upcoming.result()
                finally:
                    upcoming.cancel()
        finally:
            broken.cancel()

    async def grant(self, ttl_seconds: int) -> int:
        return await self._passed("grant", "", lambda: self.inner.grant(ttl_seconds))

    async def keep_alive(self, lease: int) -> int:
        return await self._passed("keep_alive", "", lambda: self.inner.keep_alive(lease))

    async def revoke(self, lease: int) -> None:
        await self._passed("revoke", "", lambda: self.inner.revoke(lease))

    async def time_to_live(self, lease: int) -> int:
        return await self._passed("time_to_live", "", lambda: self.inner.time_to_live(lease))

    async def revision(self) -> int:
        return await self._passed("revision", "", lambda: self.inner.revision())

    async def compact(self, revision: int) -> None:
        await self._passed("compact", "", lambda: self.inner.compact(revision))

    async def close(self) -> None:
        await self.inner.close()

    async def _passed(self, verb: str, key: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(f"{verb} {key}".rstrip())
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left < 0:
                self.down = True
        if self._rng is not None:
            await asyncio.sleep(self._rng.choice((0.0, 0.01, 0.01, 0.02)))
        if self._down:
            raise StoreUnavailable("the store is away")
        return await call()
