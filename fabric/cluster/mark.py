"""The mark of a cluster: one cgroup that every process of it is in, from its birth to its death.

A child is born into its parent's cgroup, so nothing can slip out: not a pod's process, not an orphan of a
killed supervisor. Writing `1` to `cgroup.kill` kills them all at once, and with the last process
the kernel frees the cluster's namespaces, links, routes, rules and mounts.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from fabric.cluster.places import folders_in, make_folder
from fabric.errors import FabricError

PARENT = "fabric"
_POLL_SECONDS = 0.005


def mount_point() -> Path | None:
    """Where the cgroup v2 hierarchy is mounted, or None."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(fields.split()[4])
    return None


class Mark:
    """The cgroup of one cluster."""

    def __init__(self, cluster: str) -> None:
        root = mount_point()
        if root is None:
            raise FabricError(
                "no cgroup v2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"
            )
        self._group = root / PARENT / cluster

    def make(self) -> None:
        try:
            make_folder(self._group)
        except OSError as error:
            raise FabricError(
                f"cannot make the cgroup {self._group}: {error.strerror}; fabric needs root"
            ) from None

    def join(self, pid: int = 0) -> None:
        """Put a process (0: the caller) and so all its future children into the cluster."""
        (self._group / "cgroup.procs").write_text(str(pid or os.getpid()))

    def processes(self) -> list[int]:
        """Pids of all living processes of the cluster."""
        try:
            return [int(pid) for pid in (self._group / "cgroup.procs").read_text().split()]
        except FileNotFoundError:
            return []

    def kill(self, *, seconds_max: float = 30.0) -> None:
        """Kill every process of the cluster and remove the mark; FabricError when some cannot die."""
        deadline = time.monotonic() + seconds_max
        dying = set(self.processes())
        with contextlib.suppress(FileNotFoundError):
            (self._group / "cgroup.kill").write_text("1")
        while self._group.exists():
            with contextlib.suppress(OSError):
                self._group.rmdir()
                break
            if time.monotonic() > deadline:
                left = ", ".join(map(str, self.processes()))
                raise FabricError(f"processes that do not die after {seconds_max} s: {left}")
            time.sleep(_POLL_SECONDS)
        # A dying process has left its cgroup, and may still hold its namespaces for a moment.
        while dying and time.monotonic() < deadline:
            dying = {pid for pid in dying if _runs(pid)}
            time.sleep(_POLL_SECONDS if dying else 0)

    def exists(self) -> bool:
        return self._group.exists()


def _runs(pid: int) -> bool:
    """False for a process that is gone, or dead and waiting for init to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def marked_clusters() -> list[str]:
    """Names of all clusters that have a mark, alive or left over."""
    root = mount_point()
    return sorted(folders_in(root / PARENT)) if root else []
