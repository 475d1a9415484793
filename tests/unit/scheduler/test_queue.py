"""The queue's order and its back-off, in exact virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from support.scheduling import info

from fabric.scheduler.queue import SchedulingQueue


async def names(queue: SchedulingQueue, count: int) -> list[str]:
    return [(await queue.get()).key.name for _ in range(count)]


async def test_the_higher_priority_goes_first_then_the_older() -> None:
    queue = SchedulingQueue()
    for name, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10)):
        queue.put(info(name, priority=priority))
    assert await names(queue, 4) == ["b", "d", "a", "c"]


async def test_a_refused_pod_waits_for_a_change_and_for_its_backoff() -> None:
    queue, loop = SchedulingQueue(), asyncio.get_running_loop()
    queue.put(info("a"))
    tries = []
    for _ in range(7):
        pod = await queue.get()
        tries.append(loop.time())
        queue.add_unschedulable(pod)
        queue.cluster_changed()
    assert tries == [0, 1, 3, 7, 15, 25, 35]


async def test_without_a_change_a_refused_pod_is_left_alone() -> None:
    queue = SchedulingQueue()
    queue.put(info("a"))
    queue.add_unschedulable(await queue.get())
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(3_600)
    assert not waiting.done()
    queue.cluster_changed(lambda pod: pod.key.name != "a")
    await asyncio.sleep(1)
    assert not waiting.done()
    queue.cluster_changed()
    assert (await waiting).key.name == "a"


async def test_a_changed_pod_is_tried_at_once_and_an_equal_one_is_not() -> None:
    queue = SchedulingQueue()
    queue.put(info("a"))
    queue.add_unschedulable(await queue.get())
    queue.put(info("a"))
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(5)
    assert not waiting.done()
    queue.put(info("a", labels={"new": "label"}))
    assert (await waiting).labels == {"new": "label"}


async def test_a_removed_pod_is_not_given_out() -> None:
    queue = SchedulingQueue()
    for name in ("a", "b"):
        queue.put(info(name))
    queue.remove(info("a").key)
    assert await names(queue, 1) == ["b"] and len(queue) == 1


async def test_a_parked_pod_comes_back_when_it_changes_or_after_a_minute_or_more() -> None:
    queue, loop = SchedulingQueue(), asyncio.get_running_loop()
    queue.put(info("a"))
    parked = [queue.park(await queue.get()) for _ in range(3)]
    assert 60 <= parked[0] < 90 and 120 <= parked[1] < 180
    assert loop.time() == sum(parked[:2])
    queue.cluster_changed()
    queue.put(info("a", labels={"new": "label"}))
    assert (await queue.get()).labels == {"new": "label"}
    assert loop.time() == sum(parked[:2])


async def test_a_pod_of_another_uid_is_neither_removed_nor_parked() -> None:
    queue = SchedulingQueue()
    queue.put(info("a"))
    earlier = replace(info("a"), uid="earlier")
    queue.remove(earlier.key, earlier.uid)
    assert queue.park(earlier) == 0.0
    queue.add_unschedulable(earlier)
    assert await names(queue, 1) == ["a"] and len(queue) == 1
