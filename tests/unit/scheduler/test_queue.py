"""The queue's order and its back-off, in exact virtual time."""

from __future__ import annotations

import asyncio

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
