"""Durations as Go writes them: `2m0s`, `500ms`, `0`."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(rf"({_PART.pattern})+|0", re.ASCII)
SECONDS_MAX = 2**63 / 1e9
"""What Go's nanoseconds in 64 bits can say."""


def is_duration(text: str) -> bool:
    """True for what `seconds_of` can read."""
    return bool(_DURATION.fullmatch(text)) and seconds_of(text) < SECONDS_MAX


def seconds_of(duration: str) -> float:
    """The seconds that a checked duration means."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
