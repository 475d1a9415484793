"""The recent past: the last events, one tuple for each revision, without a gap.

Watchers read it with a cursor of their own, so none of them needs a queue and a slow one costs
nothing: its cursor falls off the end, and it is told `Compacted`. Every revision has at least
one event, therefore revisions `first … last` are exactly the keys of the table. The number of events
is bounded, and so are their bytes: 10,000 of the largest values that etcd takes would be 15 GB.
"""

from __future__ import annotations

from collections.abc import Sequence

from fabric.errors import Compacted
from fabric.store.port import KeyValue, StoreEvent

EVENTS_MAX = 10_000
EVENTS_BYTES_MAX = 256 << 20
"""More than one group of writes of the largest objects: who follows at once is not told to list again."""
BATCH_EVENTS_MAX = 1_000
BATCH_BYTES_MAX = 8 << 20
"""A batch is one frame to a follower in another process."""


class History:
    """The history begins empty, after `revision`, and keeps the last one, within both bounds."""

    def __init__(
        self, revision: int, events_max: int = EVENTS_MAX, bytes_max: int = EVENTS_BYTES_MAX
    ) -> None:
        self.last = revision
        self._first = revision + 1
        """The oldest revision whose events are here."""
        self._compacted = revision
        """The oldest revision that may be read."""
        self._events: dict[int, tuple[StoreEvent, ...]] = {}
        self._count = 0
        self._bytes = 0
        self._events_max = events_max
        self._bytes_max = bytes_max

    def append(self, events: tuple[StoreEvent, ...]) -> None:
        """Remember the events of the next revision, and forget the oldest beyond the bound."""
        self.last += 1
        self._events[self.last] = events
        self._count += len(events)
        self._bytes += _size(events)
        while self._is_too_much() and self._first < self.last:
            self._drop_first()
            self._compacted = max(self._compacted, self._first - 1)

    def compact(self, revision: int) -> None:
        """Forget what was before `revision`: events of `revision` itself stay."""
        while self._first < revision:
            self._drop_first()
        self._compacted = max(self._compacted, revision)

    def since(self, revision: int, prefix: str) -> tuple[list[StoreEvent], int]:
        """The events under `prefix` from `revision` on, and the revision to go on from.

        Whole revisions only; about BATCH_EVENTS_MAX or BATCH_BYTES_MAX at once. Raises Compacted.
        """
        if revision < self._first:
            raise Compacted(
                f"events of revision {revision} are forgotten (oldest: {self._first}): list again"
            )
        found: list[StoreEvent] = []
        size = 0
        while revision <= self.last and len(found) < BATCH_EVENTS_MAX and size < BATCH_BYTES_MAX:
            of_prefix = [event for event in self._events[revision] if event.kv.key.startswith(prefix)]
            found += of_prefix
            size += _size(of_prefix)
            revision += 1
        return found, revision

    def undone(self, prefix: str, revision: int) -> dict[str, KeyValue | None]:
        """The values at `revision` of the keys under `prefix` that changed after it. Raises Compacted."""
        if revision < self._compacted:
            raise Compacted(f"revision {revision} is compacted (oldest: {self._compacted}): list again")
        past: dict[str, KeyValue | None] = {}
        for newer in range(self.last, revision, -1):
            past.update((e.kv.key, e.prev) for e in self._events[newer] if e.kv.key.startswith(prefix))
        return past

    def _is_too_much(self) -> bool:
        return self._count > self._events_max or self._bytes > self._bytes_max

    def _drop_first(self) -> None:
        events = self._events.pop(self._first)
        self._count -= len(events)
        self._bytes -= _size(events)
        self._first += 1


def _size(events: Sequence[StoreEvent]) -> int:
    """The bytes of values that the events alone keep in memory: one before is that of an older event."""
    return sum(len(event.kv.value) or len(event.prev.value if event.prev else b"") for event in events)
