"""The processor time of a cluster: of each component, of its hosts and pods, and of `up`.

Wall time tells how busy the machine was; the time on a processor, above all in user mode, hardly does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_CHILDREN_USER, _CHILDREN_SYSTEM = 13, 14
"""Fields of /proc/<pid>/stat after the command's name, in clock ticks."""

HOSTS_AND_PODS = "hosts and pods"


def seconds(pid: int) -> float:
    """The time of a process' threads on a processor; 0 when it is gone. Clock ticks would be too coarse."""
    spent = 0
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                spent += int((thread / "schedstat").read_text().split()[0])
    return spent / 1e9


def seconds_of_children(pid: int) -> float:
    """The time of the children that a process waited for, and of theirs; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])) / os.sysconf("SC_CLK_TCK")


def by_component(pids: list[int], components: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU by component, `worker-0` and `worker-1` as `worker`, and of all others together."""
    names = {pid: _kind(name) for name, pid in components.items()}
    found: dict[str, float] = defaultdict(float)
    for pid in pids:
        spent = seconds(pid) + (seconds_of_children(pid) if pid in names else 0)
        found[names.get(pid, HOSTS_AND_PODS)] += spent
    return {name: round(spent, 3) for name, spent in sorted(found.items(), key=lambda item: -item[1])}


def _kind(component: str) -> str:
    stem, _, number = component.rpartition("-")
    return stem if number.isdigit() else component
