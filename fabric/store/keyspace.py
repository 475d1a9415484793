"""The present: every key with its value, in byte order.

Python compares text by code point, which is the byte order of UTF-8: a sorted list of keys is
therefore in etcd's order. An insert moves pointers of the list only (microseconds at 100,000 keys).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from fabric.store.port import KeyValue

LAST_CHARACTER = 0x10FFFF


class Keyspace:
    """Keys in byte order; `get` is a hash look-up, a range costs its own length."""

    def __init__(self, kvs: Iterable[KeyValue] = ()) -> None:
        self._kvs = {kv.key: kv for kv in kvs}
        self._keys = sorted(self._kvs)

    def get(self, key: str) -> KeyValue | None:
        return self._kvs.get(key)

    def put(self, kv: KeyValue) -> None:
        if kv.key not in self._kvs:
            insort(self._keys, kv.key)
        self._kvs[kv.key] = kv

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        del self._kvs[key]
        del self._keys[bisect_left(self._keys, key)]

    def page(self, prefix: str, start_after: str, limit: int) -> tuple[tuple[KeyValue, ...], bool, int]:
        """`limit` (0: all) keys of the prefix after `start_after`; whether more follow; how many in all."""
        start, end = self._bounds(prefix, start_after)
        stop = min(end, start + limit) if limit else end
        return tuple(self._kvs[key] for key in self._keys[start:stop]), stop < end, end - start

    def under(self, prefix: str, start_after: str = "") -> Iterator[KeyValue]:
        """The keys of the prefix after `start_after`; nothing may be written before the iterator's end."""
        return (self._kvs[self._keys[at]] for at in range(*self._bounds(prefix, start_after)))

    def count(self, prefix: str, start_after: str) -> int:
        """The number of keys of the prefix that come after `start_after`."""
        start, end = self._bounds(prefix, start_after)
        return end - start

    def __len__(self) -> int:
        return len(self._keys)

    def _bounds(self, prefix: str, start_after: str) -> tuple[int, int]:
        return bounds(self._keys, prefix, start_after)


def bounds(keys: Sequence[str], prefix: str, start_after: str = "") -> tuple[int, int]:
    """The places at which the keys of the prefix after `start_after` begin and end in a sorted sequence."""
    start = max(bisect_left(keys, prefix), bisect_right(keys, start_after))
    beyond = _first_text_after(prefix)
    return start, max(start, bisect_left(keys, beyond) if beyond else len(keys))


def _first_text_after(prefix: str) -> str:
    """The smallest text greater than all that starts with `prefix`; empty when there is none."""
    stem = prefix.rstrip(chr(LAST_CHARACTER))
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else ""
