"""Leases: a key put under one dies with it; deadlines are loop time.

A restart gives every lease its whole time again, as etcd does after a change of leader.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    id: int
    ttl_seconds: int


class LeaseTable:
    """The leases alive, when each ends, and the keys on it. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._deadlines: dict[int, float] = {}
        self._keys: dict[int, set[str]] = {}

    def add(self, lease: Lease, now: float) -> None:
        self._leases[lease.id] = lease
        self._keys[lease.id] = set()
        self._deadlines[lease.id] = now + lease.ttl_seconds

    def remove(self, lease: int) -> None:
        for table in (self._leases, self._keys, self._deadlines):
            table.pop(lease, None)

    def attach(self, lease: int, key: str) -> None:
        self._keys[lease].add(key)

    def detach(self, lease: int, key: str) -> None:
        if lease in self._keys:
            self._keys[lease].discard(key)

    def keys(self, lease: int) -> Iterable[str]:
        return self._keys[lease]

    def renew(self, lease: int, now: float) -> int:
        """Start the lease's time anew; its TTL, or 0 when there is none such."""
        if lease not in self._leases:
            return 0
        ttl_seconds = self._leases[lease].ttl_seconds
        self._deadlines[lease] = now + ttl_seconds
        return ttl_seconds

    def remaining(self, lease: int, now: float) -> int:
        """Whole seconds, rounded up; -1 when there is no such lease."""
        if lease not in self._deadlines:
            return -1
        return max(0, math.ceil(self._deadlines[lease] - now))

    def expired(self, now: float) -> list[int]:
        return [lease for lease, deadline in self._deadlines.items() if deadline <= now]

    def next_deadline(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    def __contains__(self, lease: object) -> bool:
        return lease in self._leases
