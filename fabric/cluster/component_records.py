"""The supervisor's record of each component, a file for each: who runs it, and how often it was started.

`status` reads them. What belongs to a cluster is said by its cgroup, not by these files.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from fabric.cluster.cgroup import start_time
from fabric.cluster.paths import ClusterPaths


class ComponentRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A component as its supervisor last saw it."""

    pid: int
    """0 when it is dead."""
    restarts: int = 0
    start_time: int = 0
    trouble: str = ""
    """Why it cannot be started."""


def write(paths: ClusterPaths, name: str, record: ComponentRecord) -> None:
    """Replace a component's record; OSError leaves the one before."""
    fresh = paths.pids / f".{name}.new"
    fresh.write_bytes(msgspec.json.encode(record))
    fresh.replace(paths.pids / name)


def read_all(paths: ClusterPaths) -> dict[str, ComponentRecord]:
    """Return the record of every component that was started; its pid is 0 when that process is dead."""
    found = ((path.name, _read(path)) for path in sorted(paths.pids.glob("[!.]*")))
    return {name: record for name, record in found if record is not None}


def _read(path: Path) -> ComponentRecord | None:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=ComponentRecord)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    is_alive = record.start_time and start_time(record.pid) == record.start_time
    return record if is_alive else msgspec.structs.replace(record, pid=0)


def began(paths: ClusterPaths) -> dict[str, datetime]:
    """Return when each component that lives was started, by the present clock; less than 10 ms early."""
    boot = datetime.now(UTC) - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    ticks = {name: record.start_time for name, record in read_all(paths).items() if record.pid}
    return {name: boot + timedelta(seconds=it / os.sysconf("SC_CLK_TCK")) for name, it in ticks.items()}


def supervisor_pid(paths: ClusterPaths) -> int:
    """Return the pid of the cluster's supervisor; 0 when none lives."""
    found = _read(paths.pids / "supervisor")
    return found.pid if found else 0
