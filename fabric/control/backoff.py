"""A back-off spaces tries: its delays double up to a limit, and are spread lest many come back at once."""

from __future__ import annotations

import random
from dataclasses import dataclass

RANDOM = random.Random()
_DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay after each failure in a row."""

    first_seconds: float = 0.1
    seconds_max: float = 5.0
    jitter: float = 0.1
    """How much of itself a delay may be longer."""

    def seconds(self, failures: int) -> float:
        """Return the delay after that many failures in a row, of which the first is 1."""
        doubled = self.first_seconds * 2 ** min(failures - 1, _DOUBLINGS_MAX)
        return jittered(min(doubled, self.seconds_max), self.jitter)


def jittered(seconds: float, fraction: float) -> float:
    """Return a time between `seconds` and so much of it more."""
    return seconds * (1 + fraction * RANDOM.random())


SHORT = Backoff()
"""For what may work again at any moment: a daemon, a store, a kernel."""
LONG = Backoff(0.1, 60.0)
"""For an object that somebody may have to change first."""
