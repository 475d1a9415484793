"""Tasks that die at a store call of the test's choice, as a killed process does."""

from __future__ import annotations

import asyncio
import random

from support.calico_ipam import calls_left


class Coin(random.Random):
    """Always dies before the call, or always after; calls take no time."""

    def __init__(self, before: bool) -> None:
        super().__init__(0)
        self._before = before

    def random(self) -> float:
        return 0.0 if self._before else 1.0

    def choice(self, seq):
        return seq[0]


async def died(work, calls: int) -> bool:
    """Run the work in a task that dies at that store call; True when it did."""

    async def live():
        calls_left.set(calls)
        await work

    task = asyncio.create_task(live())
    await asyncio.gather(task, return_exceptions=True)
    return task.cancelled()
