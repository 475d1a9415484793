import asyncio
import random

import pytest
from support.owned_task import running

from fabric.control import backoff, parking
from fabric.control.backoff import Backoff
from fabric.control.loop import Loop
from fabric.errors import Conflict


class Reconcile:
    """Notes when it is called, and does what it is told to do next."""

    def __init__(self):
        self.times = []
        self.error = None
        self.answer = None

    async def __call__(self):
        self.times.append(round(asyncio.get_running_loop().time(), 6))
        if self.error is not None:
            raise self.error
        return self.answer


async def test_it_reconciles_at_the_start_at_each_poke_and_at_each_resync():
    reconcile = Reconcile()
    loop = Loop("lease", reconcile, resync_seconds=10)
    async with running(loop.run()):
        await asyncio.sleep(4)
        loop.trigger()
        assert not loop.is_converged
        await asyncio.sleep(20.5)
        assert loop.is_converged
    assert reconcile.times == [0, 4, 14, 24]


async def test_a_long_pass_that_goes_well_makes_its_refusal_the_first_again():
    times = []

    async def reconcile():
        times.append(round(asyncio.get_running_loop().time(), 6))
        await asyncio.sleep(0)
        if len(times) == 3:
            await asyncio.sleep(100)
            loop.is_well()
            assert loop.last_error == ""
        raise Conflict("broken off")

    loop = Loop("watch", reconcile, backoff=Backoff(1, 8))
    async with running(loop.run()):
        await asyncio.sleep(107)
    assert times == [0, 1, 3, 104, 106]


async def test_who_waits_for_a_pass_hears_its_end_and_so_does_on_pass():
    ends = []
    reconcile = Reconcile()
    loop = Loop("lease", reconcile, on_pass=lambda: ends.append(len(reconcile.times)))
    async with running(loop.run()):
        async with asyncio.timeout(1):
            await loop.next_pass()
        assert ends == [1]
        reconcile.error = Conflict("not yet")
        loop.trigger()
        async with asyncio.timeout(1):
            await loop.next_pass()
        assert ends == [1, 2] and loop.last_error == "not yet"


async def test_without_a_resync_it_waits_for_a_poke():
    reconcile = Reconcile()
    loop = Loop("lease", reconcile)
    async with running(loop.run()):
        await asyncio.sleep(1000)
        loop.trigger()
        await asyncio.sleep(1)
    assert reconcile.times == [0, 1000]


async def test_a_pass_may_say_when_it_wants_the_next_one():
    reconcile = Reconcile()
    reconcile.answer = 3
    async with running(Loop("lease", reconcile, resync_seconds=60).run()):
        await asyncio.sleep(7)
    assert reconcile.times == [0, 3, 6]


async def test_a_refusal_is_told_and_retried_with_a_doubling_delay_that_a_poke_cuts_short():
    reconcile = Reconcile()
    reconcile.error = Conflict("not yet")
    loop = Loop("lease", reconcile, backoff=Backoff(1, 4))
    async with running(loop.run()):
        await asyncio.sleep(11.5)
        assert reconcile.times == [0, 1, 3, 7, 11]
        assert loop.last_error == "not yet"
        assert not loop.is_converged
        loop.trigger()
        await asyncio.sleep(0)
        reconcile.error = None
        await asyncio.sleep(4)
        assert reconcile.times == [0, 1, 3, 7, 11, 11.5, 15.5]
        assert loop.last_error == ""
        reconcile.error = Conflict("not yet")
        loop.trigger()
        await asyncio.sleep(1.5)
    assert reconcile.times[-2:] == [15.5, 16.5]


async def test_a_poke_during_a_pass_is_not_lost():
    times = []

    async def reconcile():
        times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)

    loop = Loop("lease", reconcile)
    async with running(loop.run()):
        await asyncio.sleep(0.5)
        loop.trigger()
        await asyncio.sleep(1)
        assert not loop.is_converged
        await asyncio.sleep(1)
        assert loop.is_converged
    assert times == [0, 1]


async def test_a_bug_ends_the_run_unless_parking_is_on(monkeypatch):
    reconcile = Reconcile()
    reconcile.error = ZeroDivisionError("by nought")
    loop = Loop("lease", reconcile)
    with pytest.raises(ZeroDivisionError):
        await loop.run()
    monkeypatch.setattr(parking, "_is_on", True)
    async with running(loop.run()):
        await asyncio.sleep(1)
        assert "by nought" in loop.last_error
        reconcile.error = None
        loop.trigger()
        await asyncio.sleep(1)
    assert loop.last_error == ""


def test_a_delay_doubles_to_its_limit_and_is_spread(monkeypatch):
    monkeypatch.setattr(backoff, "RANDOM", random.Random(1))
    delays = Backoff(1, 100, jitter=0.5)
    seen = [[delays.seconds(failures) for _ in range(50)] for failures in (1, 2, 3, 1000)]
    for low, found in zip((1, 2, 4, 100), seen, strict=True):
        assert low <= min(found) < max(found) <= 1.5 * low
        assert max(found) - min(found) > 0.3 * low
