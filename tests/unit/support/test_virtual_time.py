import asyncio


async def test_an_hour_of_sleep_is_exact_and_takes_no_time():
    loop = asyncio.get_running_loop()
    start = loop.time()
    await asyncio.sleep(3600)
    assert loop.time() == start + 3600


async def test_sleepers_wake_in_the_order_of_their_times():
    woken = []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append(seconds)

    await asyncio.gather(sleeper(3), sleeper(1), sleeper(2))
    assert woken == [1, 2, 3]
