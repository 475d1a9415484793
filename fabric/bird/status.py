"""`show status` and `show memory`: the daemon itself.

`show status` ends with one of 0013 (up and running), 0022 (reconfiguring), 0023 (shutting down), and says
0024 while it recovers from a graceful restart: until then it has not yet written its routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from fabric.bird.control import Answer, BadAnswer

VERSION, STATUS, MEMORY = 1000, 1011, 1018
UP_AND_RUNNING, RECONFIGURING, SHUTTING_DOWN, RECOVERING = 13, 22, 23, 24

_STATUS_WORDS = (
    "Router ID is",
    "Hostname is",
    "Current server time is",
    "Last reboot on",
    "Last reconfiguration on",
)
_UNITS = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3}
_MEMORY_ROW = re.compile(r"(.+):\s+([\d.]+) +(\w+)(?:\s+([\d.]+) +(\w+))?")

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d(?:\.\d+)?")
"""BIRD's times are the daemon's local ones: `iso long` prints `2026-11-23 06:29:02.995`; else BIRD prints
`06:29:02.995` for what is younger than 20 hours, and `2026-11-21` for the rest. All are naive here: subtract
them from the daemon's own clock (`Status.now`), never from another."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a daemon, as it tells it; times are naive, in its own time zone."""

    version: str
    router_id: IPv4Address
    hostname: str
    now: datetime
    booted: datetime
    configured: datetime
    """When the configuration that it runs was taken."""
    is_running: bool
    """False while it reconfigures or shuts down."""
    is_recovering: bool = False
    """It waits for its peers after a graceful restart; the kernel still has the routes of before."""


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes of one kind: in use, and spent on keeping them."""

    effective: int
    overhead: int = 0


def read_status(answer: Answer) -> Status:
    """Read the answer to `show status`."""
    words = {}
    for line in answer.of(STATUS):
        for key in _STATUS_WORDS:
            if line.text.startswith(key):
                words[key] = line.text[len(key) :].strip()
    try:
        now = datetime.fromisoformat(words["Current server time is"])
        return Status(
            version=" ".join(line.text for line in answer.of(VERSION)).removeprefix("BIRD "),
            router_id=IPv4Address(words["Router ID is"]),
            hostname=words.get("Hostname is", ""),
            now=now,
            booted=moment(words["Last reboot on"], now),
            configured=moment(words["Last reconfiguration on"], now),
            is_running=answer.code == UP_AND_RUNNING,
            is_recovering=bool(answer.of(RECOVERING)),
        )
    except (KeyError, ValueError) as error:
        raise BadAnswer(f"show status: {error!r} in {[line.text for line in answer.lines]}") from error


def read_memory(answer: Answer) -> Mapping[str, MemoryUse]:
    """Read the answer to `show memory`: `Routing tables`, `Route attributes`, `Protocols`, … `Total`."""
    rows = (_MEMORY_ROW.fullmatch(line.text.strip()) for line in answer.of(MEMORY))
    return {row[1]: MemoryUse(_bytes(row[2], row[3]), _bytes(row[4], row[5])) for row in rows if row}


def _bytes(number: str | None, unit: str | None) -> int:
    return round(float(number) * _UNITS.get(unit or "B", 1)) if number else 0


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
