"""BIRD's times: the daemon's local time, in three lengths.

`iso long` prints `2026-11-23 06:29:02.995`. Without it BIRD prints `06:29:02.995` for what is younger than a
day (20 hours, to be exact) and `2026-11-21` for the rest, so that a short time is the youngest one not after
now. All are naive datetimes in the daemon's own time zone: subtract them from the daemon's own clock
(`Status.now`), never from another.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d(?:\.\d+)?")


def moment(text: str, now: datetime) -> datetime:
    """The time that `text` means to a daemon whose clock says `now`; ValueError for anything else."""
    if "-" in text:
        return datetime.fromisoformat(_padded(text))
    today = datetime.fromisoformat(_padded(f"{now.date()} {text}"))
    return today if today <= now else today - timedelta(days=1)


def _padded(text: str) -> str:
    """Milliseconds as microseconds: Python reads 3 or 6 digits, BIRD may print any number of them."""
    whole, dot, fraction = text.partition(".")
    return f"{whole}{dot}{fraction[:6]:0<6}" if dot else whole
