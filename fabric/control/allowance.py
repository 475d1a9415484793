"""Token buckets by key: each may do so much at once, and one more every so often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime


class Allowances:
    """The buckets of the `keys_max` keys seen last, one for each."""

    def __init__(self, burst: int, refill_seconds: float, keys_max: int) -> None:
        self._burst = burst
        self._refill_seconds = refill_seconds
        self._keys_max = keys_max
        self._buckets: OrderedDict[Hashable, tuple[float, datetime]] = OrderedDict()

    def take(self, key: Hashable, now: datetime) -> bool:
        """Take one token of the key's bucket; False when it is empty."""
        tokens, since = self._buckets.get(key, (float(self._burst), now))
        tokens = min(tokens + (now - since).total_seconds() / self._refill_seconds, float(self._burst))
        allowed = tokens >= 1
        self._buckets[key] = (tokens - allowed, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return allowed
