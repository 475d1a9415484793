"""A cluster is taken down: its processes die, and with them all that it had in the kernel; then its files go.

Works in any state: half built, supervisor killed, machine rebooted. Knows a cluster by its cgroup and its
two folders, and touches nothing else.
"""

from __future__ import annotations

import contextlib

from fabric.cluster import lock
from fabric.cluster.arp_limit import ArpLimit
from fabric.cluster.cgroup import (
    PARENT,
    ClusterCgroup,
    clusters_with_cgroup,
    mount_point,
)
from fabric.cluster.paths import ClusterPaths, known_clusters, refusals, run_root, state_root
from fabric.cluster.removal import remove


def down(name: str) -> bool:
    """Remove the cluster; False when there was none. FabricError when a process cannot be killed.

    BadInput when its files are in other folders: they would stay behind.
    """
    paths = ClusterPaths(name)
    if mount_point() is not None:
        ClusterCgroup(name).refuse_elsewhere()
    with refusals(), lock.held(paths.lock):
        found = name in all_clusters()
        if mount_point() is not None:
            ClusterCgroup(name).kill()
        for folder in (paths.run, paths.state):
            remove(folder)
    ArpLimit().release(name, {*known_clusters(), *clusters_with_cgroup()})
    _remove_empty_roots()
    return found


def all_clusters() -> list[str]:
    """Names of all clusters of this process' folders: running, or with anything left over."""
    groups = [ClusterCgroup(name) for name in clusters_with_cgroup()]
    here = {it.name for it in groups if it.is_here()}
    elsewhere = {it.name for it in groups if it.name not in here and it.folders() is not None}
    return sorted({*known_clusters(), *here} - elsewhere)


def _remove_empty_roots() -> None:
    group = mount_point()
    for folder in (run_root(), state_root(), *([group / PARENT] if group else [])):
        with contextlib.suppress(OSError):
            folder.rmdir()
