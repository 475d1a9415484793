"""When BIRD says that something was."""

from __future__ import annotations

from datetime import datetime, timedelta

_DOUBT = timedelta(milliseconds=10)


def same_moment(one: str, other: str) -> bool:
    """True when BIRD means one moment by both.

    It counts by a clock that is not the one it tells the time by: of two answers the last digit may differ.
    """
    return abs(datetime.fromisoformat(one) - datetime.fromisoformat(other)) < _DOUBT
