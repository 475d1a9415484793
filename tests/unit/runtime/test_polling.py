"""The runtime's loop: whoever is ready is called, and nobody for a descriptor that was another's."""

from __future__ import annotations

import os

from fabric.runtime.polling import Poll


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
