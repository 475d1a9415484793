"""Ages as kubectl prints them: two units at most, the smaller one only while it matters."""

from __future__ import annotations

from datetime import datetime

from fabric.api.objects import parse_timestamp

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400

# Below this many seconds: the unit to count in, its letter, the smaller unit beside it (or 0).
_SCALES = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def duration(seconds: float) -> str:
    """`95s`, `5m10s`, `47m`, `3h5m`, `26h`, `2d3h`, `90d`, `2y10d`, `9y`; `<invalid>` from the future."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(0, whole)
    for below, unit, letter, small, small_letter in _SCALES:
        if whole < below:
            rest = whole % unit // small if small else 0
            return f"{whole // unit}{letter}" + (f"{rest}{small_letter}" if rest else "")
    return f"{whole // _YEAR}y"


def age(since: str | None, now: datetime) -> str:
    """The time from an API timestamp to now; `<unknown>` without one, `<invalid>` when it is no time."""
    if not since:
        return "<unknown>"
    try:
        moment = parse_timestamp(since)
    except ValueError:
        return "<invalid>"
    return duration((now - moment).total_seconds()) if moment.tzinfo else "<invalid>"
