"""Preflight finds out what this host lacks, and what that costs, before anything is built.

`check` judges one topology: a missing feature that it needs is an error, a limit that it will meet a warning.
`examine` judges the machine as a whole, for `fabric doctor`. Both only look: the
remedy is the user's to apply.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fabric.cluster import spec as specs
from fabric.cluster.arp_limit import GC_THRESH3, SPARE
from fabric.cluster.down import all_clusters
from fabric.cluster.status import glance
from fabric.errors import FabricError, plural
from fabric.kernel.features import Feature, probe
from fabric.topology.addressing import routed
from fabric.topology.model import Topology
from fabric.topology.wires import needs_netem
from fabric.topology.wiring import Segment, Wiring, segments

FILES_PER_POD, FILES_BASE = 6, 500
OPTIONAL = frozenset({"ipip", "tun", "netem"})
"""Features that a cluster can be without, and whose presence it wants to know."""
LINKS_SHOWN_MAX = 3
_ARP = "ARP entries, one pool for all namespaces"
_TOOLS = {
    "iptables-save": "iptables",
    "ipset": "ipset",
    "catatonit": "catatonit",
    "ip": "iproute2",
    "ping": "iputils-ping",
}
_SOME_TOOLS = {"bird": "bird2"}
"""Tools that not every topology needs: requirements name them as they do features."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of the host."""

    name: str
    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of a host that can run a topology."""

    warnings: list[Finding]
    features: frozenset[str]
    """Those of the optional ones that this kernel has."""
    arp_entries: int = 0
    """ARP entries that the cluster will have, the network's own among them."""


def check(
    topology: Topology, required: frozenset[str], arp_entries: int = 0, *, tune: bool = False
) -> Judgement:
    """Judge the host for a topology; FabricError names everything that is missing, with its remedy.

    `arp_entries`: as many as the network itself has all the time. With `tune` their limit is raised
    later, and not judged.

    `required` has features by doctor's names (of `ipip|tun` one must be there), and tools that only some
    topologies need: `bird`.
    """
    wiring = specs.choose(topology, None, api_port=0, workers=1).underlay.wiring()
    features = probe({name for choice in required for name in choice.split("|")} | OPTIONAL)
    missing = [words for choice in sorted(required) if (words := _missing(choice, features, wiring))]
    tools = _TOOLS | {tool: package for tool, package in _SOME_TOOLS.items() if tool in required}
    missing += [str(finding) for finding in _tools(tools) if finding.level == "error"]
    size = Size.of(wiring, sum(manifest.object["kind"] == "Pod" for manifest in topology.manifests))
    missing += [] if tune else _too_few_arp_entries(size, arp_entries)
    if missing:
        raise FabricError("this host lacks what the topology needs:\n  " + "\n  ".join(missing))
    warnings = [
        finding
        for finding in _limits(size)
        if finding.level != "ok" and not (tune and finding.name == GC_THRESH3)
    ]
    present = frozenset(it for it in OPTIONAL if it in features and features[it].present)
    return Judgement(warnings, present, size.arp_entries + arp_entries)


def _too_few_arp_entries(size: Size, network: int) -> list[str]:
    """Say that the table is too small for network or pods, whose pairs would fail at random."""
    remedy = _more_arp_entries(size, network)
    alone = _at_least(GC_THRESH3, _ARP, network, remedy, "the network alone")
    whole = _at_least(
        GC_THRESH3, _ARP, size.arp_entries_min(network), remedy, f"this with {plural(size.pods, 'pod')}"
    )
    return [str(next(it for it in (alone, whole) if it.level != "ok"))] if whole.level != "ok" else []


def _missing(choice: str, features: Mapping[str, Feature], wiring: Wiring) -> str:
    """Say what is missing of `vxlan`, or of all alternatives of `ipip|tun`; empty when one is there."""
    known = [features[name] for name in choice.split("|") if name in features]
    if not known or any(feature.present for feature in known):
        return ""
    if choice == "netem":
        links = needs_netem(wiring)
        shown = ", ".join(f"{link.name} has {link.shape}" for link in links[:LINKS_SHOWN_MAX])
        more = f" and {len(links) - LINKS_SHOWN_MAX} more" if len(links) > LINKS_SHOWN_MAX else ""
        return f"netem: link {shown}{more}, and this kernel has no sch_netem; {known[0].remedy}"
    details = ", ".join(f"{it.name}: {it.detail}" for it in known)
    return f"{details}; {' or '.join(it.remedy for it in known)}"


def examine(nodes: int, pods: int) -> list[Finding]:
    """Look at everything; `nodes` and `pods` say how large a cluster the limits are judged for."""
    kernel = [
        Finding(f.name, "ok" if f.present else "warning", f.detail, "" if f.present else f.remedy)
        for f in probe().values()
    ]
    return [*kernel, *_tools(_TOOLS | _SOME_TOOLS), *_limits(Size.flat(nodes, pods)), *_leftovers()]


def _tools(wanted: Mapping[str, str]) -> Iterator[Finding]:
    for tool, package in wanted.items():
        path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            yield Finding(f"program {tool}", "ok", path)
        else:
            yield Finding(f"program {tool}", "error", "not installed", f"sudo apt-get install {package}")


def _limits(size: Size) -> Iterator[Finding]:
    yield _at_least(GC_THRESH3, _ARP, size.arp_entries, _more_arp_entries(size))
    if size.ports > BRIDGE_PORTS_MAX:
        what = f"a bridge has {BRIDGE_PORTS_MAX} ports; needed: {size.ports}"
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
        FILES_BASE + FILES_PER_POD * size.pods,
        f"sudo sysctl -w fs.file-max={FILES_BASE + FILES_PER_POD * size.pods}",
    )
    processes = 400 + 3 * (size.pods + size.hosts)
    yield _at_least(
        "kernel.pid_max", "processes", processes, f"sudo sysctl -w kernel.pid_max={2 * processes}"
    )
    yield _at_least(
        "user.max_net_namespaces",
        "network namespaces",
        size.hosts + size.pods,
        f"sudo sysctl -w user.max_net_namespaces={_round_up(size.hosts + size.pods)}",
    )


def _more_arp_entries(size: Size, network: int = 0) -> str:
    limit = _round_up(size.arp_entries + network + SPARE)
    return f"sudo sysctl -w {GC_THRESH3}={limit}, or fabric up --tune, which puts it back at the last down"


def _at_least(name: str, of: str, needed: int, remedy: str, who: str = "this") -> Finding:
    path = Path("/proc/sys") / name.replace(".", "/")
    try:
        value = int(path.read_text().split()[0])
    except (OSError, ValueError):
        return Finding(name, "ok", "not limited by this kernel")
    if value < needed:
        return Finding(name, "warning", f"{value} {of}; {who} needs {needed}", remedy)
    return Finding(name, "ok", f"{value} {of}; {needed} needed")


def _leftovers() -> Iterable[Finding]:
    ruins = [seen for name in all_clusters() if (seen := glance(name)).status != "running"]
    for seen in ruins:
        what = f"cluster {seen.name} is {seen.status}, with {plural(seen.processes, 'process')}"
        yield Finding("leftovers", "warning", what, f"sudo fabric down {seen.name}")
    if not ruins:
        yield Finding("leftovers", "ok", "none")


def _round_up(number: int) -> int:
    return 1 << max(10, (number - 1).bit_length())


BRIDGE_PORTS_MAX = 1024
"""BR_MAX_PORTS of the kernel."""
ARP_ENTRIES_PER_POD_MIN, ARP_ENTRIES_PER_POD = 2, 4
"""A pod and its node know each other; pods on a bridge know those that they talk to, too."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a cluster in numbers that Linux limits."""

    hosts: int
    """Namespaces besides those of pods."""
    pods: int
    ports: int
    """Of the bridge that has the most."""
    mesh: int
    """ARP entries of nodes, control plane and routers for each other, when all of them talk."""
    arp_entries: int
    """ARP entries that there may be at once: a mesh of each segment's nodes, and each pod with those it talks
    to. The entries that Flannel writes for its VTEPs are permanent, and Linux does not count them."""

    @classmethod
    def flat(cls, nodes: int, pods: int) -> Size:
        """A cluster whose nodes are all on one switch."""
        ports = max(nodes + 1, _most_pods(nodes, pods))
        mesh = nodes * (nodes + 1)
        return cls(nodes + 2, pods, ports, mesh, mesh + ARP_ENTRIES_PER_POD * pods)

    def arp_entries_min(self, network: int) -> int:
        """ARP entries without which it cannot work, `network` of them the pod network's own."""
        return max(network, self.mesh) + ARP_ENTRIES_PER_POD_MIN * self.pods

    @classmethod
    def of(cls, wiring: Wiring, pods: int) -> Size:
        """A cluster on that graph."""
        nodes = len(wiring.of_role("host")) - 1
        mesh = sum(map(_mesh, segments(wiring))) + 2 * len(list(routed(wiring)))
        bridges = [_bridged(wiring, it.name) for it in wiring.of_role("switch", "router")]
        return cls(
            hosts=len(wiring.devices),
            pods=pods,
            ports=max(*bridges, _most_pods(nodes, pods)),
            mesh=mesh,
            arp_entries=mesh + ARP_ENTRIES_PER_POD * pods,
        )


def _mesh(segment: Segment) -> int:
    """Entries of nodes and control plane for each other, and between them and their routers."""
    hosts = len(segment.hosts)
    return hosts * (hosts - 1) + 2 * hosts * len(segment.routers)


def _bridged(wiring: Wiring, name: str) -> int:
    is_switch = wiring.device(name).role == "switch"
    return len(wiring.links_of(name)) if is_switch else len(wiring.neighbors(name, "host"))


def _most_pods(nodes: int, pods: int) -> int:
    return -(-pods // nodes) if nodes else 0
