"""The memory of a cluster: the proportional share of its processes' pages, and the kernel's slab."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path


def pss_kib(pid: int) -> int:
    """Proportional set size of a process in KiB; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def slab_kib() -> int:
    """All slab of the machine in KiB: a difference of two readings is what came between them."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1])
    return 0


def by_command(pids: list[int]) -> dict[str, int]:
    """PSS in KiB of the processes, summed by command name."""
    found: dict[str, int] = defaultdict(int)
    for pid in pids:
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            found[name] += pss_kib(pid)
    return dict(sorted(found.items(), key=lambda item: -item[1]))
