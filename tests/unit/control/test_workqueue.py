import asyncio

from hypothesis import given
from hypothesis import strategies as st

from fabric.control.workqueue import WorkQueue


async def test_keys_come_out_in_the_order_they_went_in_each_once():
    queue = WorkQueue()
    for key in ("pod-1", "pod-2", "pod-1"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["pod-1", "pod-2"]


async def test_a_key_added_while_in_work_comes_again_only_after_done():
    queue = WorkQueue()
    queue.add("pod-1")
    key = await queue.get()
    queue.add("pod-1")
    queue.add("pod-1")
    assert len(queue) == 0
    queue.done(key)
    assert len(queue) == 1
    assert await queue.get() == "pod-1"
    queue.done("pod-1")
    assert len(queue) == 0


async def test_a_delayed_key_comes_at_its_time():
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    queue.add_after("pod-1", 5.0)
    await queue.get()
    assert loop.time() == 5.0


async def test_of_several_delays_the_earliest_wins():
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    for seconds in (5.0, 2.0, 9.0):
        queue.add_after("pod-1", seconds)
    queue.done(await queue.get())
    assert loop.time() == 2.0
    await asyncio.sleep(60)
    assert len(queue) == 0


async def test_a_delay_of_zero_adds_at_once():
    queue = WorkQueue()
    queue.add_after("pod-1", 0.0)
    assert len(queue) == 1


async def test_a_getter_that_is_cancelled_takes_no_key_with_it():
    queue = WorkQueue()
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("pod-1")
    getter.cancel()
    await asyncio.gather(getter, return_exceptions=True)
    assert await queue.get() == "pod-1"


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3))))
def test_no_key_is_in_work_twice_and_no_add_is_missed(actions):
    async def play():
        queue, in_work, wanted = WorkQueue(), [], set()
        for action, number in actions:
            if action == "add":
                queue.add(number)
                wanted.add(number)
            elif action == "get" and len(queue):
                key = await queue.get()
                assert key not in in_work
                wanted.discard(key)
                in_work.append(key)
            elif action == "done" and in_work:
                queue.done(in_work.pop(number % len(in_work)))
        for key in in_work:
            queue.done(key)
        assert {await queue.get() for _ in range(len(queue))} == wanted

    asyncio.run(play())
