"""A store inside this process: the meaning of `mvcc`, a log behind it, and waiting for both.

Transactions are judged in the order of their calls and acknowledged once their group is in the log.
A group takes everything staged while the one before it was written, so a hundred writers share one
sync of the disk; in a crowd it waits a moment for more, as each group costs a sync, two changes of threads
and a wake of every watch. A transaction whose compares fail is also answered only when what it was judged
against is durable. Lease time is loop time; a timer, not a task, ends leases.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from fabric.errors import FabricError, StoreUnavailable
from fabric.store.history import EVENTS_MAX
from fabric.store.leases import Lease
from fabric.store.mvcc import Change, Mvcc, Snapshot
from fabric.store.port import Compare, Delete, KeyValue, Put, RangeResult, TxnResult
from fabric.store.watch import Waiters, Watch

QUEUED_MAX = 10_000
"""Transactions waiting for the log; beyond it a write is refused."""
LEASE_ID_BITS = 62
LEASE_SECONDS_MAX = 9_000_000_000
"""As in etcd."""
EXPIRY_RETRY_SECONDS = 1.0
CROWD = 3
"""A group of so many changes tells that several writers are at work: the next one waits for company."""
GATHER_SECONDS = 0.004
GATHERED_MAX = 64
"""A group of so many waits no longer."""


class Log(Protocol):
    """The write-ahead log, in which changes become durable."""

    def append(self, changes: Sequence[Change]) -> None:
        """Write all or none, and sync; blocks. OutOfResources for a full disk, else StoreUnavailable."""
        ...

    def close(self) -> None: ...


class LocalStore:
    """The Store protocol over a log (a single writer thread), or over nothing (`log=None`: no threads)."""

    def __init__(self, snapshot: Snapshot, log: Log | None, events_max: int = EVENTS_MAX) -> None:
        """Needs a running loop when the snapshot has leases."""
        now = asyncio.get_running_loop().time() if snapshot.leases else 0.0
        self._mvcc = Mvcc(snapshot, now, events_max)
        self._waiters = Waiters()
        self._log = log
        self._writer = ThreadPoolExecutor(1, "store-log") if log else None
        self._queue: list[tuple[Change, asyncio.Future[None]]] = []
        self._writing: asyncio.Future[None] | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        if snapshot.leases:
            self._set_timer()

    async def get(self, key: str) -> KeyValue | None:
        self._refuse_closed()
        return self._mvcc.get(key)

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        self._refuse_closed()
        if limit < 0:
            raise ValueError(f"a limit is 0 or more, not {limit}")
        return self._mvcc.range(prefix, start_after, limit, revision)

    async def txn(self, compares: Sequence[Compare], success: Sequence[Put | Delete]) -> TxnResult:
        self._refuse_writes()
        succeeded, change = self._mvcc.stage(compares, success)
        await self._durable(change)
        return TxnResult(succeeded, change.revision)

    def watch(self, prefix: str, *, from_revision: int = 0) -> Watch:
        """Watch from the moment of the call, or from a remembered revision."""
        return Watch(self._mvcc.history, self._waiters, prefix, from_revision or self._mvcc.revision + 1)

    async def grant(self, ttl_seconds: int) -> int:
        self._refuse_writes()
        if not 1 <= ttl_seconds <= LEASE_SECONDS_MAX:
            raise ValueError(f"a lease lives 1 to {LEASE_SECONDS_MAX} s, not {ttl_seconds}")
        lease = Lease(secrets.randbits(LEASE_ID_BITS) + 1, ttl_seconds)
        await self._durable(self._mvcc.stage_grant(lease))
        return lease.id

    async def keep_alive(self, lease: int) -> int:
        self._refuse_closed()
        return self._mvcc.leases.renew(lease, asyncio.get_running_loop().time())

    async def revoke(self, lease: int) -> None:
        self._refuse_writes()
        await self._durable(self._mvcc.stage_end(lease))

    async def time_to_live(self, lease: int) -> int:
        self._refuse_closed()
        return self._mvcc.leases.remaining(lease, asyncio.get_running_loop().time())

    async def revision(self) -> int:
        self._refuse_closed()
        return self._mvcc.revision

    async def compact(self, revision: int) -> None:
        self._refuse_closed()
        self._mvcc.compact(revision)

    async def close(self) -> None:
        """Finish what is queued, then refuse everything; watches end with StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathered()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        self._waiters.close()
        if self._writer and self._log:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._log.close)
            self._writer.shutdown()

    async def _durable(self, change: Change) -> None:
        """Return when the change, and all staged before it, are logged and published."""
        if self._log is None:
            self._publish(change)
            await asyncio.sleep(0)
            return
        if change.is_mark and self._writing is None and not self._queue:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((change, done))
        self._write_group()
        await done

    def _write_group(self) -> None:
        """Send the queue to the log, unless a group is on its way or gathers: then that sends the next."""
        if self._writing is not None or not self._queue:
            return
        if self._gathering is not None:
            if len(self._queue) < GATHERED_MAX:
                return
            self._gathering.cancel()
            self._gathering = None
        assert self._log and self._writer
        group, self._queue = self._queue, []
        changes = [change for change, _ in group]
        self._writing = asyncio.get_running_loop().run_in_executor(self._writer, self._log.append, changes)
        self._writing.add_done_callback(lambda written: self._group_written(group, written))

    def _group_written(
        self, group: list[tuple[Change, asyncio.Future[None]]], written: asyncio.Future[None]
    ) -> None:
        self._writing = None
        error = written.exception()
        if error is not None:
            self._fail(group, error)
            return
        for change, done in group:
            self._publish(change)
            if not done.done():
                done.set_result(None)
        if len(group) >= CROWD and not self._closed:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._gathered)
        self._write_group()

    def _gathered(self) -> None:
        self._gathering = None
        self._write_group()

    def _fail(self, group: list[tuple[Change, asyncio.Future[None]]], error: BaseException) -> None:
        """Fail the group, and all writes queued behind it: their compares were made against it."""
        lost, self._queue = group + self._queue, []
        self._mvcc.forget_staged()
        for _, done in lost:
            if not done.done():
                done.set_exception(error)

    def _publish(self, change: Change) -> None:
        self._mvcc.publish(change, asyncio.get_running_loop().time())
        if change.events:
            self._waiters.wake(change.revision, change.events)
        if change.granted or change.ended:
            self._set_timer()

    def _set_timer(self, seconds_min: float = 0.0) -> None:
        """Have leases ended at the next deadline; a lease renewed since only makes the timer early."""
        deadline = self._mvcc.leases.next_deadline()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if deadline is not None and not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(deadline, loop.time() + seconds_min), self._end_expired)

    def _end_expired(self) -> None:
        loop = asyncio.get_running_loop()
        for lease in self._mvcc.leases.expired(loop.time()):
            change = self._mvcc.stage_end(lease)
            if self._log is None:
                self._publish(change)
            elif change.ended:
                done: asyncio.Future[None] = loop.create_future()
                # Nobody waits for it: the timer tries again until the log takes it.
                done.add_done_callback(asyncio.Future.exception)
                self._queue.append((change, done))
        self._write_group()
        self._set_timer(EXPIRY_RETRY_SECONDS if self._log else 0.0)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _refuse_writes(self) -> None:
        self._refuse_closed()
        if len(self._queue) >= QUEUED_MAX:
            raise FabricError(f"{QUEUED_MAX} writes wait for the disk: try again")
