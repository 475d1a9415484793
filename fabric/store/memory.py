"""A store that lives as long as its process: for tests on virtual time. No thread, no file."""

from __future__ import annotations

from fabric.store.history import EVENTS_MAX
from fabric.store.local import LocalStore
from fabric.store.mvcc import Snapshot


class MemoryStore(LocalStore):
    """The Store protocol in memory; may be made before any loop runs."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        super().__init__(Snapshot(), None, events_max)
