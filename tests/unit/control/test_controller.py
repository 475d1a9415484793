import asyncio
import errno

import pytest
from support.owned_task import running

from fabric.control import parking
from fabric.control.backoff import Backoff
from fabric.control.controller import Controller
from fabric.errors import Conflict


async def test_a_failing_key_is_tried_again_after_a_doubling_delay():
    loop = asyncio.get_running_loop()
    tries = []

    async def reconcile(key):
        tries.append(round(loop.time(), 6))
        if len(tries) < 4:
            raise Conflict("not yet")

    controller = Controller("pods", reconcile)
    controller.queue.add("pod-1")
    async with running(controller.run()):
        await asyncio.sleep(60)
    assert tries == [0.0, 0.1, 0.3, 0.7]


async def test_the_delay_has_a_limit_and_starts_anew_after_a_success():
    loop = asyncio.get_running_loop()
    tries = []
    failing = True

    async def reconcile(key):
        tries.append(loop.time())
        if failing:
            raise Conflict("not yet")

    controller = Controller("pods", reconcile, backoff=Backoff(1, 4))
    controller.queue.add("pod-1")
    async with running(controller.run()):
        await asyncio.sleep(16)
        assert tries == [0, 1, 3, 7, 11, 15]
        failing = False
        await asyncio.sleep(9)
        failing = True
        tries.clear()
        controller.queue.add("pod-1")
        await asyncio.sleep(1.5)
        assert tries == [25, 26]


async def test_a_failing_key_does_not_hold_up_the_others():
    done = []

    async def reconcile(key):
        if key == "pod-1":
            raise Conflict("never")
        done.append(key)

    controller = Controller("pods", reconcile)
    for key in ("pod-1", "pod-2", "pod-3"):
        controller.queue.add(key)
    async with running(controller.run()):
        await asyncio.sleep(0.05)
    assert done == ["pod-2", "pod-3"]


async def test_workers_share_the_keys_but_never_one_key():
    loop = asyncio.get_running_loop()
    spans = []

    async def reconcile(key):
        start = loop.time()
        await asyncio.sleep(1)
        spans.append((key, start, loop.time()))

    controller = Controller("pods", reconcile, workers=2)
    async with running(controller.run()):
        for key in ("pod-1", "pod-2"):
            controller.queue.add(key)
        await asyncio.sleep(0.5)
        controller.queue.add("pod-1")
        await asyncio.sleep(5)
    assert spans == [("pod-1", 0, 1), ("pod-2", 0, 1), ("pod-1", 1, 2)]


async def test_without_parking_a_bug_in_reconcile_ends_the_run():
    async def reconcile(key):
        raise ZeroDivisionError

    controller = Controller("pods", reconcile, workers=3)
    controller.queue.add("pod-1")
    with pytest.raises(ExceptionGroup) as caught:
        await controller.run()
    assert caught.group_contains(ZeroDivisionError)


@pytest.fixture
def parks(monkeypatch):
    monkeypatch.setattr(parking, "_is_on", True)


async def test_a_bug_parks_its_key_and_the_others_go_on(parks, caplog):
    loop = asyncio.get_running_loop()
    tries = []
    told = []

    async def reconcile(key):
        tries.append((key, loop.time()))
        if key == "poison":
            raise ZeroDivisionError

    controller = Controller("pods", reconcile, on_park=lambda key, bug: told.append((key, type(bug))))
    controller.queue.add("poison")
    controller.queue.add("pod-1")
    async with running(controller.run()):
        await asyncio.sleep(10)
        controller.queue.add("poison")
        await asyncio.sleep(300)
    assert tries == [("poison", 0), ("pod-1", 0), ("poison", 10), ("poison", 60), ("poison", 300)]
    assert told[0] == ("poison", ZeroDivisionError)
    assert "PARKED poison" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EAGAIN", "ENOMEM"])
async def test_a_machine_that_has_no_more_is_the_world_saying_no(name):
    number = getattr(errno, name)
    tries = []

    async def reconcile(key):
        tries.append(key)
        if len(tries) == 1:
            raise OSError(number, "no more", "/var/lib/fabric/x")
        if len(tries) == 2:
            raise ExceptionGroup("in two tasks", [OSError(number, "no more"), Conflict("not yet")])

    controller = Controller("pods", reconcile)
    controller.queue.add("pod-1")
    async with running(controller.run()):
        await asyncio.sleep(1)
    assert tries == ["pod-1"] * 3
