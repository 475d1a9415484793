"""The runtime's loop: whoever is ready is called, and nobody for a descriptor that was another's."""

from __future__ import annotations

import os

import pytest

from fabric.runtime.polling import Poll
from fabric.runtime.tasks import Promise, run


def ready_pipe() -> int:
    readable, writable = os.pipe()
    os.write(writable, b"x")
    os.close(writable)
    return readable


def test_news_of_a_closed_descriptor_do_not_reach_who_has_its_number_now():
    poll, called = Poll(), []
    pipes = [ready_pipe(), ready_pipe()]

    def replace_the_other(mine: int, other: int) -> None:
        called.append("first")
        poll.forget(mine)
        poll.forget(other)
        os.close(other)
        silent, _ = os.pipe()
        assert silent == other
        poll.watch(silent, lambda _: called.append("the new one"))

    for mine, other in (pipes, pipes[::-1]):
        poll.watch(mine, lambda _, mine=mine, other=other: replace_the_other(mine, other))  # type: ignore[misc]
    poll.run_once()
    assert called == ["first"]


def test_a_watch_that_began_in_a_turn_is_served_in_the_next():
    poll, called = Poll(), []
    first, second = ready_pipe(), ready_pipe()

    def begin(_: int) -> None:
        poll.forget(first)
        poll.watch(second, lambda _: called.append("second"))

    poll.watch(first, begin)
    poll.run_once()
    assert called == []
    poll.run_once()
    assert called == ["second"]


def test_a_timer_is_due_once():
    poll, called = Poll(), []
    poll.later(0.0, lambda: called.append("now"))
    poll.later(0.01, lambda: called.append("later"))
    while called.count("later") < 1:
        poll.later(0.02, lambda: None)
        poll.run_once()
    assert called == ["now", "later"]


def test_a_cancelled_timer_is_not_due():
    poll, called = Poll(), []
    poll.later(0.0, lambda: called.append("cancelled")).cancel()
    poll.later(0.001, lambda: called.append("due"))
    while not called:
        poll.run_once()
    assert called == ["due"]


def test_a_descriptor_that_is_not_readable_in_time_says_so():
    poll, found = Poll(), []
    silent, _end = os.pipe()
    for fd in (ready_pipe(), silent):
        promise = poll.readable(fd, 0.001)
        while not promise.is_done:
            poll.run_once()
        run(_value(promise), lambda value, _: found.append(value))
    assert found == [True, False]


async def _value(promise: Promise) -> bool:
    return bool(await promise)


def test_a_bug_in_one_call_parks_its_descriptor_and_the_others_are_served(capsys: pytest.CaptureFixture[str]):
    poll, called = Poll(), []

    def bug(_: int) -> None:
        called.append("bug")
        raise KeyError("lost")

    poll.watch(ready_pipe(), bug)
    poll.later(0.0, lambda: {}["also lost"])
    poll.watch(ready_pipe(), lambda _: called.append("other"))
    for _ in range(3):
        poll.run_once()
    assert called.count("bug") == 1 and called.count("other") == 3
    said = capsys.readouterr().err
    assert said.count("bug in the runtime") == 2 and "KeyError: 'lost'" in said
