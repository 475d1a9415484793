"""The store's meaning, without I/O: what is durable, and what is staged on top of it.

A request is *staged*: judged against the newest state, given its revision, and noted in an overlay.
Once its log is durable it is *published*: moved from the overlay into the keyspace and history.
Reads and watches see published state only, so nobody ever sees a revision that a crash takes back;
compares see the staged state, so two writers of one batch cannot both win. Changes are published in
the order in which they were staged; when a log write fails, all staged changes are forgotten together.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fabric.errors import FabricError
from fabric.store.history import EVENTS_MAX, History
from fabric.store.keyspace import Keyspace
from fabric.store.leases import Lease, LeaseTable
from fabric.store.port import (
    Compare,
    Delete,
    KeyValue,
    LeaseNotFound,
    ModRevision,
    Put,
    RangeResult,
    StoreEvent,
)

FIRST_REVISION = 1
"""Of an empty store, as in etcd: the first write makes revision 2."""


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of one request on the store, the unit of the log; empty, it only marks a revision."""

    revision: int
    events: tuple[StoreEvent, ...] = ()
    granted: Lease | None = None
    ended: int = 0

    @property
    def is_mark(self) -> bool:
        return not (self.events or self.granted or self.ended)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store's content as a log gives it back after a restart."""

    revision: int = FIRST_REVISION
    kvs: tuple[KeyValue, ...] = ()
    leases: tuple[Lease, ...] = ()


class Mvcc:
    """Published state plus staged overlay; every method is synchronous."""

    def __init__(self, snapshot: Snapshot, now: float, events_max: int = EVENTS_MAX) -> None:
        self._present = Keyspace(snapshot.kvs)
        self.history = History(snapshot.revision, events_max)
        self.leases = LeaseTable()
        self._staged: dict[str, StoreEvent] = {}
        self._staged_revision = snapshot.revision
        self._ending: set[int] = set()
        for lease in snapshot.leases:
            self.leases.add(lease, now)
        for kv in snapshot.kvs:
            if kv.lease:
                self.leases.attach(kv.lease, kv.key)

    @property
    def revision(self) -> int:
        """The newest published revision."""
        return self.history.last

    def get(self, key: str) -> KeyValue | None:
        return self._present.get(key)

    def range(self, prefix: str, start_after: str, limit: int, revision: int) -> RangeResult:
        """Read published state, now or at a remembered `revision`. Raises Compacted."""
        if revision:
            self._refuse_future(revision)
            past = self.history.undone(prefix, revision)
            if past:
                return self._past_page(prefix, start_after, limit, revision, past)
        kvs, more, count = self._present.page(prefix, start_after, limit)
        return RangeResult(kvs, revision or self.revision, more, count)

    def _past_page(
        self, prefix: str, start_after: str, limit: int, revision: int, past: Mapping[str, KeyValue | None]
    ) -> RangeResult:
        """A page of the present with the keys of `past` as they were; it costs its own size and theirs."""
        changed = {key: kv for key, kv in past.items() if key > start_after}
        there = sum(self._present.get(key) is not None for key in changed)
        was = sorted((kv for kv in changed.values() if kv is not None), key=_key)
        count = self._present.count(prefix, start_after) - there + len(was)
        unchanged = (kv for kv in self._present.under(prefix, start_after) if kv.key not in changed)
        kvs = tuple(islice(heapq.merge(unchanged, was, key=_key), limit or None))
        return RangeResult(kvs, revision, len(kvs) < count, count)

    def compact(self, revision: int) -> None:
        self._refuse_future(revision)
        self.history.compact(revision)

    def stage(self, compares: Iterable[Compare], success: Sequence[Put | Delete]) -> tuple[bool, Change]:
        """Judge a transaction; LeaseNotFound when a put names a lease that is not (or no longer) there."""
        if not all(map(self._holds, compares)):
            return False, Change(self._staged_revision)
        if len({op.key for op in success}) < len(success):
            raise ValueError(f"a transaction writes each key once: {[op.key for op in success]}")
        if any(not op.key for op in success):
            raise ValueError("a key is not empty")
        for op in success:
            if isinstance(op, Put) and op.lease and (op.lease not in self.leases or op.lease in self._ending):
                raise LeaseNotFound(f"lease {op.lease} of {op.key} is gone: grant a new one")
        return True, self._stage_ops(success)

    def stage_grant(self, lease: Lease) -> Change:
        return Change(self._staged_revision, granted=lease)

    def stage_end(self, lease: int) -> Change:
        """End a lease: its keys go in one revision."""
        if lease not in self.leases or lease in self._ending:
            return Change(self._staged_revision)
        keys = {*self.leases.keys(lease), *self._staged}
        doomed = [Delete(key) for key in sorted(keys) if (kv := self._newest(key)) and kv.lease == lease]
        change = self._stage_ops(doomed)
        self._ending.add(lease)
        return Change(change.revision, change.events, ended=lease)

    def publish(self, change: Change, now: float) -> None:
        """Show a change that is durable to readers and watchers."""
        if change.granted:
            self.leases.add(change.granted, now)
        if change.events:
            self.history.append(change.events)
        for event in change.events:
            self._publish_event(event)
        if change.ended:
            self.leases.remove(change.ended)
            self._ending.discard(change.ended)

    def forget_staged(self) -> None:
        """The log refused: everything staged since the last published change never was."""
        self._staged.clear()
        self._ending.clear()
        self._staged_revision = self.revision

    def _stage_ops(self, ops: Sequence[Put | Delete]) -> Change:
        """Note what the ops change, at the next revision if they change anything."""
        revision = self._staged_revision + 1
        events = tuple(event for op in ops if (event := self._event(op, revision)))
        if not events:
            return Change(self._staged_revision)
        self._staged_revision = revision
        self._staged.update((event.kv.key, event) for event in events)
        return Change(revision, events)

    def _event(self, op: Put | Delete, revision: int) -> StoreEvent | None:
        prev = self._newest(op.key)
        if isinstance(op, Delete):
            return StoreEvent("delete", KeyValue(op.key, b"", 0, revision, 0), prev) if prev else None
        created, version = (prev.create_revision, prev.version + 1) if prev else (revision, 1)
        return StoreEvent("put", KeyValue(op.key, op.value, created, revision, version, op.lease), prev)

    def _holds(self, compare: Compare) -> bool:
        if isinstance(compare, ModRevision):
            newest = self._newest(compare.key)
            return (newest.mod_revision if newest else 0) == compare.equals
        staged = (event.kv for event in self._staged.values() if event.type == "put")
        newer = (kv for kv in staged if kv.mod_revision > compare.revision)
        if any(kv.key.startswith(compare.prefix) for kv in newer):
            return False
        there = (kv for kv in self._present.under(compare.prefix) if kv.key not in self._staged)
        return all(kv.mod_revision <= compare.revision for kv in there)

    def _newest(self, key: str) -> KeyValue | None:
        event = self._staged.get(key)
        if event is None:
            return self._present.get(key)
        return event.kv if event.type == "put" else None

    def _publish_event(self, event: StoreEvent) -> None:
        kv, prev = event.kv, event.prev
        if self._staged[kv.key] is event:
            del self._staged[kv.key]
        if prev is not None and prev.lease:
            self.leases.detach(prev.lease, kv.key)
        if event.type == "delete":
            self._present.remove(kv.key)
        else:
            self._present.put(kv)
            if kv.lease:
                self.leases.attach(kv.lease, kv.key)

    def _refuse_future(self, revision: int) -> None:
        if revision > self.revision:
            raise FabricError(f"revision {revision} is in the future (newest: {self.revision})")


def _key(kv: KeyValue) -> str:
    return kv.key
