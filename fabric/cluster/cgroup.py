"""The cgroup of a cluster has every process of it, from its birth to its death.

A child is born into its parent's cgroup, so nothing can slip out: not a pod's process, not an orphan of a
killed supervisor. Writing `1` to `cgroup.kill` kills them all at once, and with the last process
the kernel frees the cluster's namespaces, links, routes, rules and mounts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from fabric.cluster.paths import Folders, folders_in, make_folder
from fabric.errors import BadInput, FabricError, Problem

PARENT = "fabric"
_PROCESSES, _KILL = "cgroup.procs", "cgroup.kill"
_FOLDERS = "user.fabric.folders"
"""The extended attribute of a cluster's cgroup that says where its files are."""
PROCESSES_SHARE = 0.75
"""The part of the machine's processes that all clusters together may have, where cgroup v2 can count them."""
_POLL_SECONDS = 0.005
_SUPERVISOR_SECONDS_MAX = 10.0
_MAKING_SECONDS_MAX = 60.0
"""The time after which a cgroup that says nothing of its folders is what a killed `up` left."""


def mount_point() -> Path | None:
    """Return the path at which the cgroup v2 hierarchy is mounted, or None."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(fields.split()[4])
    return None


class ClusterCgroup:
    """The cgroup of one cluster."""

    def __init__(self, cluster: str) -> None:
        root = mount_point()
        if root is None:
            raise FabricError(
                "no cgroup v2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"
            )
        self.name = cluster
        self._group = root / PARENT / cluster
        self._members = self._group / "members"

    def make(self) -> None:
        """Make the cgroup of a cluster whose files are in this process' folders; BadInput where they are not.

        A cluster is known on the whole machine by its name, whatever folders its files are in.
        """
        try:
            make_folder(self._members)
        except OSError as error:
            raise FabricError(
                f"cannot make the cgroup {self._members}: {error.strerror}; fabric needs root"
            ) from None
        self.refuse_elsewhere()
        with contextlib.suppress(OSError):  # A kernel before 5.7 has no such attributes.
            os.setxattr(self._group, _FOLDERS, Folders.of_environment().text.encode())
        _limit_processes(self._group.parent)

    def folders(self) -> Folders | None:
        """Return where the files of the cluster are; None where that is not known."""
        with contextlib.suppress(OSError):
            return Folders.parse(os.getxattr(self._group, _FOLDERS).decode())
        return None

    def is_here(self) -> bool:
        """True when the cluster's files are in this process' folders, or nothing is left of it elsewhere.

        While `up` begins there are files and no process yet; while `down` ends, for a moment again. A cgroup
        that was made just now may not say yet where the files are.
        """
        folders = self.folders()
        if folders == Folders.of_environment():
            return True
        if self.processes():
            return False
        return self._is_old() if folders is None else not folders.have(self.name)

    def _is_old(self) -> bool:
        try:
            return time.time() - self._group.stat().st_mtime > _MAKING_SECONDS_MAX
        except FileNotFoundError:
            return False

    def elsewhere(self) -> Folders | None:
        """Return where the cluster's files are, if that is elsewhere and anything is left of it."""
        return None if self.is_here() else self.folders()

    def refuse_elsewhere(self) -> None:
        """Raise BadInput for a cluster whose files are not in this process' folders."""
        if (folders := self.elsewhere()) is not None:
            what = f"a cluster {self.name!r} has its files in other folders: set {folders} to work on it"
            raise BadInput(Problem("cluster", f"{what}, or choose another name"))

    def join(self) -> None:
        """Put the caller, and so all its future children, into the cluster."""
        (self._members / _PROCESSES).write_text(str(os.getpid()))

    def join_as_supervisor(self) -> None:
        """Put the caller beside the members, so that it can kill and reap them all."""
        (self._group / _PROCESSES).write_text(str(os.getpid()))

    def processes(self) -> list[int]:
        """Pids of all living processes of the cluster."""
        return [*self._supervisors(), *_pids(self._members)]

    def cpu_seconds(self) -> float:
        """Return the processor time of all processes that are or were in the cgroup; 0 when it is gone."""
        return sum(self.cpu_times())

    def cpu_times(self) -> tuple[float, float]:
        """Return the same in user mode, and in the kernel."""
        with contextlib.suppress(OSError):
            stat = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
            return int(stat["user_usec"]) / 1e6, int(stat["system_usec"]) / 1e6
        return 0.0, 0.0

    def kill_members(self) -> None:
        """Kill every process of the cluster but its supervisor."""
        with contextlib.suppress(FileNotFoundError):
            (self._members / _KILL).write_text("1")

    def kill(self, *, seconds_max: float = 30.0) -> None:
        """Kill every process of the cluster and remove the cgroup; FabricError when some cannot die.

        A living supervisor is told to do it: it reaps what it kills at once. A PID namespace ends only
        when its last process is reaped, and init may take its time.
        """
        deadline = time.monotonic() + seconds_max
        dying = set(self.processes())
        self._end_supervisors()
        with contextlib.suppress(FileNotFoundError):
            (self._group / _KILL).write_text("1")
        while self._group.exists():
            with contextlib.suppress(OSError):
                with contextlib.suppress(FileNotFoundError):
                    self._members.rmdir()
                self._group.rmdir()
                break
            if time.monotonic() > deadline:
                left = ", ".join(map(str, self.processes()))
                raise FabricError(f"processes that do not die after {seconds_max} s: {left}")
            time.sleep(_POLL_SECONDS)
        # A dying process has left its cgroup, and may still hold its namespaces for a moment.
        while dying and time.monotonic() < deadline:
            dying = {pid for pid in dying if start_time(pid)}
            time.sleep(_POLL_SECONDS if dying else 0)

    def _end_supervisors(self) -> None:
        deadline = time.monotonic() + _SUPERVISOR_SECONDS_MAX
        for pid in self._supervisors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while self._supervisors() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _supervisors(self) -> list[int]:
        return _pids(self._group)


def _limit_processes(group: Path) -> None:
    """Leave the machine some processes whatever pods start; without the pids controller there is no limit."""
    limits = (int(Path("/proc/sys/kernel", name).read_text()) for name in ("pid_max", "threads-max"))
    with contextlib.suppress(FileNotFoundError), (group / "pids.max").open("r+") as file:
        file.write(str(int(min(limits) * PROCESSES_SHARE)))


def _pids(group: Path) -> list[int]:
    try:
        return [int(pid) for pid in (group / _PROCESSES).read_text().split()]
    except OSError:
        return []


def clusters_with_cgroup() -> list[str]:
    """Names of all clusters that have a cgroup, alive or left over, wherever their files are."""
    root = mount_point()
    return sorted(folders_in(root / PARENT)) if root else []


def clusters_elsewhere() -> dict[str, Folders]:
    """The clusters whose files are not in this process' folders, and where they are."""
    found = ((name, ClusterCgroup(name).elsewhere()) for name in clusters_with_cgroup())
    return {name: folders for name, folders in found if folders is not None}


_STATE, _START_TIME = 0, 19
"""Fields of /proc/<pid>/stat, counted after the command's closing bracket."""


def start_time(pid: int) -> int:
    """Ticks since boot when the process began; 0 when it is gone, or dead and not reaped yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[_STATE] in "ZX" else int(fields[_START_TIME])
