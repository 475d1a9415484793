"""`fabric bench up`: from nothing to every pod reachable, and back, timed from outside.

Each run is a `fabric up` and a `fabric down` in processes of their own, imports included, of a topology
made for it: pods with one `pause` container each, on nodes that the scheduler chooses.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fabric.bench.clusters import fresh_name, removed_on_failure, run_fabric
from fabric.bench.memory import by_command, slab_kib
from fabric.bench.peer import PeerTimes, mininet
from fabric.cluster.cgroup import ClusterCgroup
from fabric.errors import plural

_NEIGHBORS = Path("/proc/sys/net/ipv4/neigh/default")


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
    peer: PeerTimes | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(nodes: int, pods: int, *, runs: int, with_mininet: bool, say: Callable[[str], None]) -> UpTimes:
    """Run it `runs` times; FabricError when a run does not come up whole."""
    found = []
    for number in range(1, runs + 1):
        say(f"{plural(pods, 'pod')} on {plural(nodes, 'node')}, run {number}/{runs}")
        found.append(_run(nodes, pods))
    peer = None
    if with_mininet:
        say(f"Mininet with {plural(pods, 'host')}")
        peer = mininet(pods)
    last = found[-1]
    return UpTimes(
        nodes,
        pods,
        runs,
        _median(found, "up"),
        _median(found, "down"),
        {stage: _median([run["stages"] for run in found], stage) for stage in last["stages"]},
        last["pairs"],
        _median(found, "pss"),
        round(max(run["slab"] for run in found), 3),
        last["heaviest"],
        peer,
    )


@contextmanager
def raised_neighbor_limits(entries: int) -> Iterator[None]:
    """Let the machine have that many ARP entries, or more, while the body runs; then put its limits back."""
    limits = {name: _NEIGHBORS / name for name in ("gc_thresh1", "gc_thresh2", "gc_thresh3")}
    before = {name: path.read_text() for name, path in limits.items()}
    try:
        for name, path in limits.items():
            path.write_text(str(max(entries, int(before[name]))))
        yield
    finally:
        for name, path in limits.items():
            path.write_text(before[name])


def _run(nodes: int, pods: int) -> dict[str, Any]:
    name = fresh_name()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(json.dumps(topology(name, nodes, pods)))
        slab = slab_kib()
        with removed_on_failure(name):
            began = time.monotonic()
            report = json.loads(run_fabric("up", str(file), "-o", "json"))
            up_seconds = time.monotonic() - began
            pids = ClusterCgroup(name).processes()
            weights = by_command(pids)
            slab = slab_kib() - slab
        began = time.monotonic()
        run_fabric("down", name)
        down_seconds = time.monotonic() - began
    return {
        "up": up_seconds,
        "down": down_seconds,
        "stages": report["stages"],
        "pairs": report["reachability"]["pairs"],
        "pss": sum(weights.values()) / 1024,
        "slab": slab / 1024,
        "heaviest": {command: round(kib / 1024, 1) for command, kib in list(weights.items())[:6]},
    }


def topology(name: str, nodes: int, pods: int) -> dict[str, Any]:
    """A topology of that size, as the file's value."""
    room = max(110, -(-pods // nodes) * 2)
    return {
        "apiVersion": "fabric.dev/v1",
        "kind": "Topology",
        "metadata": {"name": name},
        "spec": {
            "nodes": [
                {"name": f"node-{number}", "capacity": {"cpu": "64", "memory": "256Gi", "pods": str(room)}}
                for number in range(1, nodes + 1)
            ],
            "network": {"plugin": "flannel", "backend": "vxlan"},
            "manifests": [pod(number) for number in range(1, pods + 1)],
        },
    }


def pod(number: int) -> dict[str, Any]:
    """A pod of one `pause` container, as the file's value."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}"},
        "spec": {"containers": [{"name": "pause", "image": "pause"}]},
    }


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return round(float(statistics.median(run[key] for run in runs)), 3)
