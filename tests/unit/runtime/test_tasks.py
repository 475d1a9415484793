"""Tasks of the runtime: promises are kept once, turns go in order, and errors reach who waits."""

from __future__ import annotations

from typing import Any

from fabric.runtime.tasks import Promise, Turns, run


def ends() -> tuple[list[Any], Any]:
    found: list[Any] = []
    return found, lambda value, error: found.append(error or value)


def test_a_task_goes_on_when_its_promise_is_kept():
    promise, (found, done) = Promise(), ends()

    async def double() -> int:
        return 2 * await promise

    run(double(), done)
    assert found == []
    promise.resolve(21)
    promise.resolve(1000)
    assert found == [42]


def test_an_error_of_a_promise_is_raised_in_all_who_wait():
    promise, (found, done) = Promise(), ends()

    async def wait() -> None:
        await promise

    run(wait(), done)
    run(wait(), done)
    failure = OSError("no")
    promise.fail(failure)
    run(wait(), done)
    assert found == [failure] * 3


def test_turns_at_one_key_come_in_order_and_other_keys_do_not_wait():
    turns, gate, steps = Turns(), Promise(), list[str]()

    async def work(key: str, name: str, wait: Promise | None = None) -> None:
        async with turns.of(key):
            steps.append(f"{name} begins")
            if wait is not None:
                await wait
            steps.append(f"{name} ends")

    for key, name, wait in (
        ("a", "first", gate),
        ("a", "second", None),
        ("a", "third", None),
        ("b", "other", None),
    ):
        run(work(key, name, wait), lambda *_: None)
    assert steps == ["first begins", "other begins", "other ends"]
    gate.resolve()
    assert steps[3:] == ["first ends", "second begins", "second ends", "third begins", "third ends"]


def test_a_task_that_fails_gives_its_turn_to_the_next():
    turns, gate, (found, done) = Turns(), Promise(), ends()

    async def fail() -> None:
        async with turns.of("a"):
            await gate

    async def work() -> str:
        async with turns.of("a"):
            return "done"

    run(fail(), done)
    run(work(), done)
    failure = ValueError("no")
    gate.fail(failure)
    assert sorted(map(str, found)) == ["done", "no"]
