"""An event loop whose clock jumps: when nothing is ready, time moves to the next timer at once.

`asyncio.sleep(3600)` takes no time and `loop.time()` is exact, so a test may say
`assert tries == [0.0, 0.1, 0.3, 0.7]`. Real file descriptors still work: they are polled before each
jump. A loop with nothing to wait for, and no timer, is a deadlock and raises.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

REAL_WAIT_SECONDS_MAX = 60.0


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; where a real selector would sleep, it moves the loop's clock."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(REAL_WAIT_SECONDS_MAX)
            if not ready:
                raise RuntimeError("deadlock: every task waits, and no timer is set")
            return ready
        self.loop.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0.0 seconds."""

    def __init__(self) -> None:
        self._now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> Any:
        return VirtualTimeLoop()
