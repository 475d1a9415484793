"""Back-off as the kubelet has it: 10 s, doubling to 300 s, forgotten after 600 s without trouble.

The first restart is at once. A delay counts from the moment of the failure (`since`), not from
when it was noticed. It lives in memory, as in Kubernetes: a restarted kubelet begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 10.0
SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class _Entry:
    seconds: float
    updated: float


class KeyedBackoff:
    """Delays by key; times are seconds since the epoch."""

    def __init__(self, seconds: float = SECONDS, seconds_max: float = SECONDS_MAX) -> None:
        self._seconds = seconds
        self._seconds_max = seconds_max
        self._entries: dict[str, _Entry] = {}

    def delay(self, key: str) -> float:
        """The delay that stands now; 0 before the first failure."""
        entry = self._entries.get(key)
        return entry.seconds if entry else 0.0

    def remaining(self, key: str, since: float, now: float) -> float:
        """Seconds still to wait after a failure at `since`; 0 when it may be tried."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, since):
            return 0.0
        return max(0.0, since + entry.seconds - now)

    def next(self, key: str, since: float) -> None:
        """Tried again after a failure at `since`: the next delay is twice this one."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, since):
            seconds = self._seconds
        else:
            seconds = min(entry.seconds * 2, self._seconds_max)
        self._entries[key] = _Entry(seconds, since)

    def forget(self, prefix: str) -> None:
        """Forget every key that starts with `prefix`."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]

    def _expired(self, entry: _Entry, since: float) -> bool:
        return since - entry.updated > 2 * self._seconds_max
