"""An index finds the keys of a cache by a value; it is kept in step with the cache, object by object."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterable

from fabric.api.objects import Key, Object
from fabric.control import parking

log = logging.getLogger(__name__)


class Index:
    """A map from each value to the keys of the objects that `of` gives it for."""

    def __init__(self, of: Callable[[Object], Iterable[Hashable]]) -> None:
        self.of = of
        self._keys: dict[Hashable, dict[Key, None]] = {}

    def keys_of(self, value: Hashable) -> Collection[Key]:
        """The keys with that value, in the order in which they got it."""
        return self._keys.get(value, {}).keys()

    def replace(self, key: Key, old: Object | None, new: Object | None) -> None:
        """Note that the object of the key was `old` and is `new`; None is absence."""
        before, after = self._values(key, old), self._values(key, new)
        if before == after:
            return
        for value in before - after:
            keys = self._keys[value]
            del keys[key]
            if not keys:
                del self._keys[value]
        for value in after - before:
            self._keys.setdefault(value, {})[key] = None

    def _values(self, key: Key, obj: Object | None) -> set[Hashable]:
        """The values of an object; one that `of` cannot digest has none."""
        try:
            return set(self.of(obj)) if obj is not None else set()
        except Exception as bug:
            parking.park(log, "index", key, bug)
            return set()
