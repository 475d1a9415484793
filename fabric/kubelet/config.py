"""A kubelet's configuration: its node, and how often it looks at what.

Everything that a node writes is below `root`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

KUBELET_VERSION = "v1.33.0-fabric"
DEFAULT_CAPACITY: Mapping[str, str] = {"cpu": "4", "memory": "8Gi", "pods": "110"}


@dataclass(frozen=True)
class KubeletConfig:
    """The configuration of one node's kubelet. Intervals are in seconds."""

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
    ipv6: bool = False
    """True leaves IPv6 on in pods."""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    lease_seconds: int = 40
    heartbeat_seconds: int = 10
    status_seconds: int = 300
    """The Node's status is written at least this often."""
    resync_seconds: float = 60.0
    """Every pod is looked at again this often, with jitter: its network, its volumes, its status."""
    workers: int = 4
    """Pods that are worked on at the same time."""

    @cached_property
    def pods_directory(self) -> Path:
        return self.root / "var/lib/kubelet/pods"

    @cached_property
    def logs_directory(self) -> Path:
        return self.root / "var/log/pods"
