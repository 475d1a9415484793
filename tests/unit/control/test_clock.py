import asyncio
from datetime import UTC, datetime, timedelta

from fabric.control.clock import LoopClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_time_moves_with_the_loop():
    clock = LoopClock(NOON)
    assert clock.now() == NOON
    await asyncio.sleep(90)
    assert clock.now() == NOON + timedelta(seconds=90)


async def test_without_a_start_it_begins_at_the_wall_clock_in_utc():
    before = datetime.now(UTC)
    now = LoopClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC
