"""What this host lacks, and what that costs: found out before anything is built.

`check` judges one topology: a missing feature that it needs is an error, a limit that it will meet a warning.
`examine` judges the machine as a whole, for `fabric doctor`. Both only look: the
remedy is the user's to apply.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fabric.cluster.down import all_clusters
from fabric.cluster.overview import glance
from fabric.errors import FabricError
from fabric.kernel.features import probe
from fabric.topology.model import Topology

BRIDGE_PORTS_MAX = 1024
"""BR_MAX_PORTS of the kernel."""
FILES_PER_POD, FILES_BASE = 6, 500
NEIGHBORS_PER_POD = 4
_THRESHOLD = "net.ipv4.neigh.default.gc_thresh3"
_TOOLS = {
    "iptables-save": "iptables",
    "ipset": "ipset",
    "catatonit": "catatonit",
    "ip": "iproute2",
    "ping": "iputils-ping",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


def check(topology: Topology, required: frozenset[str]) -> list[Finding]:
    """Return warnings; FabricError names everything that is missing, with its remedy."""
    features = probe(required)
    missing = [
        f"{name}: {features[name].detail}; {features[name].remedy}"
        for name in sorted(required)
        if name in features and not features[name].present
    ]
    missing += [str(finding) for finding in _tools() if finding.level == "error"]
    if missing:
        raise FabricError("this host lacks what the topology needs:\n  " + "\n  ".join(missing))
    pods = sum(manifest.object["kind"] == "Pod" for manifest in topology.manifests)
    return [finding for finding in _limits(len(topology.nodes), pods) if finding.level != "ok"]


def examine(nodes: int, pods: int) -> list[Finding]:
    """Look at everything; `nodes` and `pods` say how large a cluster the limits are judged for."""
    kernel = [
        Finding(f.name, "ok" if f.present else "warning", f.detail, "" if f.present else f.remedy)
        for f in probe().values()
    ]
    return [*kernel, *_tools(), *_limits(nodes, pods), *_leftovers()]


def neighbors_needed(nodes: int, pods: int) -> int:
    """ARP entries that a cluster may have at once: a mesh of nodes, and each pod with those it talks to."""
    return nodes * (nodes - 1) + NEIGHBORS_PER_POD * pods


def _tools() -> Iterator[Finding]:
    for tool, package in _TOOLS.items():
        path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            yield Finding(tool, "ok", path)
        else:
            yield Finding(tool, "error", "not installed", f"sudo apt-get install {package}")


def _limits(nodes: int, pods: int) -> Iterator[Finding]:
    yield _at_least(
        _THRESHOLD,
        "ARP entries, one pool for all namespaces",
        neighbors_needed(nodes, pods),
        f"sudo sysctl -w {_THRESHOLD}={_round_up(neighbors_needed(nodes, pods))}",
    )
    most_pods = -(-pods // nodes) if nodes else 0
    if max(nodes + 1, most_pods) > BRIDGE_PORTS_MAX:
        what = f"a bridge has {BRIDGE_PORTS_MAX} ports; needed: {max(nodes + 1, most_pods)}"
        yield Finding("bridge ports", "error", what, "use more nodes with fewer pods each")
    else:
        yield Finding("bridge ports", "ok", f"{BRIDGE_PORTS_MAX} a bridge")
    yield _at_least(
        "fs.inotify.max_user_instances",
        "inotify instances",
        64,
        "sudo sysctl -w fs.inotify.max_user_instances=512",
    )
    yield _at_least(
        "fs.file-max",
        "open files of the machine",
        FILES_BASE + FILES_PER_POD * pods,
        f"sudo sysctl -w fs.file-max={FILES_BASE + FILES_PER_POD * pods}",
    )
    processes = 400 + 3 * pods
    yield _at_least(
        "kernel.pid_max", "processes", processes, f"sudo sysctl -w kernel.pid_max={2 * processes}"
    )
    yield _at_least(
        "user.max_net_namespaces",
        "network namespaces",
        nodes + pods + 2,
        f"sudo sysctl -w user.max_net_namespaces={_round_up(nodes + pods)}",
    )


def _at_least(name: str, of: str, needed: int, remedy: str) -> Finding:
    path = Path("/proc/sys") / name.replace(".", "/")
    try:
        value = int(path.read_text().split()[0])
    except (OSError, ValueError):
        return Finding(name, "ok", "not limited by this kernel")
    if value < needed:
        return Finding(name, "warning", f"{value} {of}; this needs {needed}", remedy)
    return Finding(name, "ok", f"{value} {of}; {needed} needed")


def _leftovers() -> Iterable[Finding]:
    ruins = [seen for name in all_clusters() if (seen := glance(name)).status != "running"]
    for seen in ruins:
        what = f"cluster {seen.name} is {seen.status}, with {seen.processes} processes"
        yield Finding("leftovers", "warning", what, f"sudo fabric down {seen.name}")
    if not ruins:
        yield Finding("leftovers", "ok", "none")


def _round_up(number: int) -> int:
    return 1 << max(10, (number - 1).bit_length())
