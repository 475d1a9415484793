"""The event loop waits for descriptors and timers, and calls what is ready."""

from __future__ import annotations

import heapq
import itertools
import select
import sys
import time

from fabric.runtime.tasks import Promise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE, HANG_UP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP
PARKED_SECONDS = 5.0
"""How long a descriptor is left alone after a bug in what it calls."""


class Timer:
    """A call at a time to come."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Poll:
    """The event loop of a process with one thread.

    A bug in a call ends nothing: its traceback is written to standard error, and its descriptor is parked.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._events: dict[int, int] = {}
        self._paused: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._new: set[int] = set()
        """Watched since the kernel was asked: what it said of such a number was of another file."""

    def watch(self, fd: int, call: Callable[[int], None], events: int = READ) -> None:
        """Call `call(events)` whenever the descriptor is ready, until `forget`; OSError when it cannot be."""
        self._epoll.register(fd, events)
        self._calls[fd], self._events[fd] = call, events
        self._new.add(fd)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of a watched descriptor."""
        if self._events[fd] != events:
            self._events[fd] = events
            if fd not in self._paused:
                self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor; must be called before it is closed."""
        if self._calls.pop(fd, None) is not None:
            del self._events[fd]
            if fd in self._paused:
                self._paused.discard(fd)
            else:
                self._epoll.unregister(fd)

    def pause(self, fd: int, seconds: float) -> None:
        """Leave a watched descriptor alone for a time, also when its other end hangs up."""
        call = self._calls[fd]
        self._epoll.unregister(fd)
        self._paused.add(fd)

        def resume() -> None:
            if fd in self._paused and self._calls[fd] is call:
                self._paused.discard(fd)
                self._epoll.register(fd, self._events[fd])

        self.later(seconds, resume)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once after a time, unless the timer is cancelled."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), timer))
        return timer

    def readable(self, fd: int, seconds: float) -> Promise:
        """Return a promise: True when the descriptor is readable, False when it was not within a time."""
        promise = Promise()

        def end(is_readable: bool) -> None:
            timer.cancel()
            self.forget(fd)
            promise.resolve(is_readable)

        timer = self.later(seconds, lambda: end(False))
        try:
            self.watch(fd, lambda _: end(True))
        except OSError:
            timer.cancel()
            raise
        return promise

    def run_once(self) -> None:
        """Wait for the next that is ready, and call; a call may end another's watch."""
        found = self._epoll.poll(self._wait_seconds())
        self._new.clear()
        for fd, events in found:
            ready = self._calls.get(fd)
            if ready is not None and fd not in self._new:
                try:
                    ready(events)
                except Exception as bug:
                    tell_bug(bug)
                    if self._calls.get(fd) is ready:
                        self.pause(fd, PARKED_SECONDS)
        self._call_due()

    def _wait_seconds(self) -> float:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1.0

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                try:
                    call()
                except Exception as bug:
                    tell_bug(bug)


def tell_bug(bug: Exception) -> None:
    """Write the traceback of a bug to standard error."""
    sys.stderr.write("bug in the runtime, which goes on:\n")
    sys.excepthook(type(bug), bug, bug.__traceback__)
    sys.stderr.flush()
