"""What one kubelet is told, and where its files lie.

Everything that a node writes is below `root`: logs where CRI has them, volumes where the
kubelet has them. A pod's directories carry its UID, so that what belongs to no pod can be found.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabric.api.objects import Object, uid_of

KUBELET_VERSION = "v1.33.0-fabric"
DEFAULT_CAPACITY: Mapping[str, str] = {"cpu": "4", "memory": "8Gi", "pods": "110"}


@dataclass(frozen=True)
class KubeletConfig:
    """One node. Intervals are in seconds."""

    node_name: str
    root: Path
    """The node's private directory, as the host sees it."""
    addresses: tuple[str, ...]
    """InternalIPs, the primary family first."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, Any]] = ()
    """Taints that the Node is created with; an existing Node keeps its own."""
    capacity: Mapping[str, str] = field(default_factory=dict)
    """Overrides of DEFAULT_CAPACITY, by resource name."""
    pod_cidrs: tuple[str, ...] = ()
    ipv6: bool = False
    """True leaves IPv6 on in pods."""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    lease_seconds: int = 40
    heartbeat_seconds: int = 10
    status_seconds: int = 300
    """The Node's status is written at least this often."""
    resync_seconds: float = 60.0
    """Every pod is looked at again this often: its network, its volumes, its status."""
    drift_seconds: float = 5.0
    """What the node itself has for its pods (veths, routes, settings) is compared this often, by one read."""
    workers: int = 4
    """Pods that are worked on at the same time."""

    @property
    def pods_directory(self) -> Path:
        return self.root / "var/lib/kubelet/pods"

    @property
    def logs_directory(self) -> Path:
        return self.root / "var/log/pods"


@dataclass(frozen=True, slots=True)
class PodFiles:
    """The directories of one pod."""

    volumes: Path
    """Everything but logs: `volumes/`, `etc-hosts`, `hostname`, `resolv.conf`."""
    logs: Path

    @classmethod
    def of(cls, config: KubeletConfig, pod: Object) -> PodFiles:
        meta = pod["metadata"]
        logs = f"{meta['namespace']}_{meta['name']}_{uid_of(pod)}"
        return cls(config.pods_directory / uid_of(pod), config.logs_directory / logs)

    def log(self, container: str, restart_count: int) -> Path:
        return self.logs / container / f"{restart_count}.log"


def uids_on_disk(config: KubeletConfig) -> frozenset[str]:
    """UIDs of the pods that have a directory on this node."""
    volumes = {path.name for path in _children(config.pods_directory)}
    logs = {path.name.rpartition("_")[2] for path in _children(config.logs_directory)}
    return frozenset(volumes | logs)


def remove_files(config: KubeletConfig, uid: str) -> None:
    """Remove the directories of a pod that is gone; what is not there is no error."""
    shutil.rmtree(config.pods_directory / uid, ignore_errors=True)
    for path in config.logs_directory.glob(f"*_{uid}"):
        shutil.rmtree(path, ignore_errors=True)


def _children(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []
