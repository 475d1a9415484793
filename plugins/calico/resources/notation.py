"""Notations of Calico's fields: BGP communities (`aa:nn`, and the large `aa:nn:mm`), and Go's durations
(`2m0s`, `500ms`, `0`).
"""

from __future__ import annotations

import re
from typing import TypeGuard

COMMUNITY_FORM = "must be of the form `aa:nn` or `aa:nn:mm`"
_COMMUNITY = re.compile(r"(\d{1,5}):(\d{1,5})|(\d{1,10}):(\d{1,10}):(\d{1,10})", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(rf"({_PART.pattern})+|0", re.ASCII)
SECONDS_MAX = 2**63 / 1e9
"""What Go's nanoseconds in 64 bits can say."""


def is_community(value: object) -> TypeGuard[str]:
    """True for two numbers of 16 bits, or three of 32."""
    match = _COMMUNITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    numbers = [int(part) for part in match.groups() if part is not None]
    return all(number < 2 ** (16 if len(numbers) == 2 else 32) for number in numbers)


def is_duration(text: str) -> bool:
    """True for what `seconds_of` can read."""
    return bool(_DURATION.fullmatch(text)) and seconds_of(text) < SECONDS_MAX


def seconds_of(duration: str) -> float:
    """The seconds that a checked duration means."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
