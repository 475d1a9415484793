"""The event loop waits for descriptors and timers, and calls what is ready."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE, HANG_UP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP


class Poll:
    """The event loop of a process with one thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._new: set[int] = set()
        """Watched since the kernel was asked: what it said of such a number was of another file."""

    def watch(self, fd: int, call: Callable[[int], None], events: int = READ) -> None:
        """Call `call(events)` whenever the descriptor is ready, until `forget`."""
        self._calls[fd] = call
        self._new.add(fd)
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """To be called before the descriptor is closed."""
        if self._calls.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once after a time."""
        self._timers.append((time.monotonic() + seconds, call))

    def run_once(self) -> None:
        """Wait for the next that is ready, and call; a call may end another's watch."""
        now = time.monotonic()
        due = [call for at, call in self._timers if at <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for call in due:
            call()
        wait = min((at - now for at, _ in self._timers), default=-1.0)
        found = self._epoll.poll(wait)
        self._new.clear()
        for fd, events in found:
            ready = self._calls.get(fd)
            if ready is not None and fd not in self._new:
                ready(events)
