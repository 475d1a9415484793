"""`fabric bench up`: from nothing to every pod reachable, and back, timed from outside.

Each run is a `fabric up` and a `fabric down` in processes of their own, imports included, of a topology
made for it: pods with one `pause` container each, on nodes that the scheduler chooses.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fabric.bench import clusters, cpu, filesystems
from fabric.bench.clusters import Say, file_of, fresh_name, removed_on_failure, run_fabric
from fabric.bench.filesystems import FileSystem
from fabric.bench.memory import by_command, slab_kib
from fabric.bench.peer import PeerTimes, mininet, need_mininet
from fabric.cluster import component_records
from fabric.cluster.cgroup import ClusterCgroup
from fabric.cluster.paths import ClusterPaths
from fabric.errors import plural

HEAVIEST = 6
"""How many processes' memory is told."""


@dataclass(frozen=True, slots=True)
class UpTimes:
    """The times of one size of cluster: medians over the runs, in seconds and MiB; slab is the largest.

    Slab is read before and after, and what an earlier run left is given back only in time.
    """

    nodes: int
    pods: int
    runs: int
    up_seconds: float
    down_seconds: float
    stages: dict[str, float]
    pairs: int
    pss_mib: float
    slab_mib: float
    heaviest: dict[str, float]
    """MiB of PSS by process name, of the last run."""
    cpu_user_seconds: float
    """Processor time in user mode, of `up` and the whole cluster, when `up` ends."""
    cpu_system_seconds: float
    """The same in the kernel, which grows with what else the machine does."""
    cpu_seconds: dict[str, float]
    """Both by component, and of `up` itself."""
    peer: PeerTimes | None = None
    file_systems: dict[str, FileSystem] = field(default_factory=dict)
    """Those of the folders of clusters: `run` and `state`."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one `up` and `down`."""

    up_seconds: float
    down_seconds: float
    stages: dict[str, float]
    pairs: int
    slab_mib: float
    pss_mib: dict[str, float]
    """By process name, the heaviest first."""
    cpu_user_seconds: float
    cpu_system_seconds: float
    cpu_seconds: dict[str, float]


def measure(nodes: int, pods: int, *, runs: int, with_mininet: bool, tune: bool, say: Say) -> UpTimes:
    """Run it `runs` times; FabricError when one does not come up whole, or Mininet is not there."""
    if with_mininet:
        need_mininet()
    found = []
    for number in range(1, runs + 1):
        say(f"{plural(pods, 'pod')} on {plural(nodes, 'node')}, run {number}/{runs}")
        found.append(_run(nodes, pods, ["--tune"] if tune else [], say))
    peer = None
    if with_mininet:
        say(f"Mininet with {plural(pods, 'host')}")
        peer = mininet(pods)
    return replace(summary(nodes, pods, found, peer), file_systems=filesystems.of_clusters())


def summary(nodes: int, pods: int, runs: Sequence[Run], peer: PeerTimes | None = None) -> UpTimes:
    """Return the medians over the runs."""
    last = runs[-1]
    return UpTimes(
        nodes,
        pods,
        len(runs),
        _median(run.up_seconds for run in runs),
        _median(run.down_seconds for run in runs),
        _medians([run.stages for run in runs]),
        last.pairs,
        _median(sum(run.pss_mib.values()) for run in runs),
        round(max(run.slab_mib for run in runs), 3),
        {name: round(mib, 1) for name, mib in list(last.pss_mib.items())[:HEAVIEST]},
        _median(run.cpu_user_seconds for run in runs),
        _median(run.cpu_system_seconds for run in runs),
        _medians([run.cpu_seconds for run in runs]),
        peer,
    )


def _run(nodes: int, pods: int, options: Sequence[str], say: Say) -> Run:
    name = fresh_name()
    with file_of(topology(name, nodes, pods)) as file, removed_on_failure(name, say):
        slab = slab_kib()
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(run_fabric("up", str(file), "-o", "json", *options))
        up_seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        user, system = ClusterCgroup(name).cpu_times()
        pids = ClusterCgroup(name).processes()
        records = component_records.read_all(ClusterPaths(name))
        spent = cpu.by_component(pids, {component: record.pid for component, record in records.items()})
        weights = by_command(pids)
        slab = slab_kib() - slab
        began = time.monotonic()
        run_fabric("down", name)
        down_seconds = time.monotonic() - began
    up_user, up_system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return Run(
        up_seconds,
        down_seconds,
        report["stages"],
        report["reachability"]["pairs"],
        slab / 1024,
        {command: kib / 1024 for command, kib in weights.items()},
        user + up_user,
        system + up_system,
        {"up": up_user + up_system} | spent,
    )


def topology(name: str, nodes: int, pods: int, network: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A topology of that size with room for twice the pods, as the file's value."""
    room = str(max(110, -(-pods // nodes) * 2))
    capacity = {"cpu": "64", "memory": "256Gi", "pods": room}
    return clusters.topology(
        name,
        nodes=[{"name": f"node-{number}", "capacity": capacity} for number in range(1, nodes + 1)],
        network=network or {"plugin": "flannel", "backend": "vxlan"},
        manifests=[pod(number) for number in range(1, pods + 1)],
    )


def pod(number: int) -> dict[str, Any]:
    """A pod of one `pause` container, as the file's value."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}"},
        "spec": {"containers": [{"name": "pause", "image": "pause"}]},
    }


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each; what a run did not have is nothing there."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _median(run.get(name, 0) for run in runs) for name in names}


def _median(values: Iterable[float]) -> float:
    return round(float(statistics.median(values)), 3)
