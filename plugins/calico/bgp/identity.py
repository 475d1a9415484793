"""Results kept by the identity of what they were computed from.

A snapshot's maps are replaced and never changed, so that the same object means the same content, and all
nodes of a process share what one of them had computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import is_
from typing import Generic, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

KEPT = 4
"""Views of one process that are in use at once: the newest, and one or two that agents still compute from."""


class KeptByIdentity(Generic[*Ts, R]):
    """A function of immutable arguments that remembers its last results."""

    def __init__(self, compute: Callable[[*Ts], R]) -> None:
        self._compute = compute
        self._kept: deque[tuple[tuple[object, ...], R]] = deque(maxlen=KEPT)

    def __call__(self, *args: *Ts) -> R:
        for known, result in self._kept:
            if all(map(is_, known, args)):
                return result
        result = self._compute(*args)
        self._kept.appendleft((args, result))
        return result
