"""The store's contract: etcd v3's meaning, whichever side implements it.

One revision counts all writes of the store. A write is a transaction: compares on mod revisions,
then puts and deletes, all or nothing, at one new revision. A watch delivers every event after a
revision, in order, without gaps, or raises `Compacted`. Keys are text, values bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fabric.errors import FabricError


class LeaseNotFound(FabricError):
    """A put names a lease that is not there, or no longer: grant a new one."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with its value and history, as etcd's mvccpb.KeyValue."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    """1 at creation, one more with each put."""
    lease: int = 0
    """Id of the lease that the key dies with; 0 is none."""


@dataclass(frozen=True, slots=True)
class RangeResult:
    """The result of a range read, at one revision of the store."""

    kvs: tuple[KeyValue, ...]
    revision: int
    """The revision that was read: a watch from `revision + 1` misses nothing."""
    more: bool = False
    """True when `limit` cut the answer."""
    count: int = 0
    """Keys of the prefix after `start_after`, whatever the limit, as etcd counts."""


@dataclass(frozen=True, slots=True)
class ModRevision:
    """Compare: the key's mod revision equals this; 0 means that the key does not exist."""

    key: str
    equals: int


@dataclass(frozen=True, slots=True)
class NoneNewer:
    """Compare: no key below the prefix was written after this revision (etcd: a compare with `range_end`).

    A key that was deleted since does not count.
    """

    prefix: str
    revision: int


Compare = ModRevision | NoneNewer


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


@dataclass(frozen=True, slots=True)
class TxnResult:
    """Whether the compares held, and the revision of the store after it."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """A put or a delete: `kv` is as after the put; for a delete it has key and revision of the deletion."""

    type: Literal["put", "delete"]
    kv: KeyValue
    prev: KeyValue | None = None


class Store(Protocol):
    """Revisions, ranges, transactions, watches, leases and compaction."""

    async def get(self, key: str) -> KeyValue | None:
        """The key now, or None."""
        ...

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        """Return the keys that start with `prefix`, in byte order, from the key after `start_after`.

        `revision` reads the past (0 is now); older than the compaction raises Compacted, newer
        than the newest raises FabricError.
        """
        ...

    async def txn(self, compares: Sequence[Compare], success: Sequence[Put | Delete]) -> TxnResult:
        """Apply all of `success` at one revision if every compare holds, else nothing.

        When it returns, the write is durable: no kill of any process loses it. A transaction writes
        each key at most once (else ValueError); one that changes nothing makes no revision. Raises
        LeaseNotFound, and StoreUnavailable, after which the write may or may not have happened.
        """
        ...

    def watch(self, prefix: str, *, from_revision: int = 0) -> AsyncIterator[Sequence[StoreEvent]]:
        """Yield batches of events under `prefix` from `from_revision` on (0: from now on), for ever.

        Events of one revision are never split over batches. An empty batch may come as a sign of
        life. Raises Compacted when the revision is forgotten, StoreUnavailable when the store is lost.
        """
        ...

    async def grant(self, ttl_seconds: int) -> int:
        """Make a lease; its keys are deleted when it is not kept alive for `ttl_seconds`."""
        ...

    async def keep_alive(self, lease: int) -> int:
        """Start the lease's time anew and return its TTL in seconds; 0 when there is none such."""
        ...

    async def revoke(self, lease: int) -> None:
        """End the lease now and delete its keys."""
        ...

    async def time_to_live(self, lease: int) -> int:
        """Remaining seconds; -1 when there is no such lease."""
        ...

    async def revision(self) -> int:
        """The newest revision."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget the history before `revision`; the present is kept."""
        ...

    async def close(self) -> None: ...
