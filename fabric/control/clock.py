"""The clock of a process: the wall clock where it started, and loop time from there on.

Every wait and every time stamp of fabric thus follows one clock, which tests let jump.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A clock tells the time."""

    def now(self) -> datetime:
        """The present, aware, in UTC. Never goes backwards."""
        ...


class LoopClock:
    """A clock that moves with the running event loop, from `start` (else the wall clock) at its first use."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._loop_start: float | None = None

    def now(self) -> datetime:
        """The present in UTC; must be called inside a running loop."""
        loop_now = asyncio.get_running_loop().time()
        if self._loop_start is None:
            self._loop_start = loop_now
        if self._start is None:
            self._start = datetime.now(UTC)
        return self._start + timedelta(seconds=loop_now - self._loop_start)
