"""Tasks are coroutines of the runtime process: one waits for a promise, and the event loop goes on meanwhile.

A small stand-in for asyncio, whose import alone would double the runtime's memory and time to start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any

    Done = Callable[[Any, Exception | None], None]


class Promise:
    """A value, or an error, that will be there later."""

    __slots__ = ("_calls", "_error", "_value", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._calls: list[Callable[[], None]] = []

    def resolve(self, value: Any = None) -> None:
        """Give the value to all who wait; only the first value or error counts."""
        self._finish(value, None)

    def fail(self, error: Exception) -> None:
        """Raise the error in all who wait."""
        self._finish(None, error)

    def then(self, call: Callable[[], None]) -> None:
        """Call when it is done, or at once."""
        if self.is_done:
            call()
        else:
            self._calls.append(call)

    def _finish(self, value: Any, error: Exception | None) -> None:
        if self.is_done:
            return
        self.is_done, self._value, self._error = True, value, error
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def __await__(self) -> Generator[Promise, None, Any]:
        if not self.is_done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value


def run(coroutine: Coroutine[Promise, None, Any], done: Done) -> None:
    """Run a coroutine until it waits, and on whenever it can; `done(value, error)` is called at its end."""

    def step() -> None:
        try:
            promise = coroutine.send(None)
        except StopIteration as stop:
            done(stop.value, None)
        except Exception as error:
            done(None, error)
        else:
            promise.then(step)

    step()


class Turns:
    """Turns let one task at a time work on a key, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Promise]] = {}

    def of(self, key: str) -> Turn:
        """Return what is to be entered with `async with`."""
        return Turn(self._waiting, key)


class Turn:
    """A task's turn at a key."""

    __slots__ = ("_key", "_waiting")

    def __init__(self, waiting: dict[str, list[Promise]], key: str) -> None:
        self._waiting = waiting
        self._key = key

    async def __aenter__(self) -> None:
        queue = self._waiting.get(self._key)
        if queue is None:
            self._waiting[self._key] = []
            return
        mine = Promise()
        queue.append(mine)
        await mine

    async def __aexit__(self, *_: object) -> None:
        queue = self._waiting[self._key]
        if queue:
            queue.pop(0).resolve()
        else:
            del self._waiting[self._key]
