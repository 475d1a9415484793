"""The cluster that a command means is the named one, the one that FABRIC_CLUSTER names, or the only one.

Of several the only one that runs is meant, but for what removes one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from fabric.cluster.cgroup import clusters_elsewhere, clusters_with_cgroup
from fabric.cluster.down import all_clusters
from fabric.cluster.paths import ClusterPaths
from fabric.errors import BadInput, FabricError, Problem

CLUSTER_VARIABLE = "FABRIC_CLUSTER"
_HELP = f"Name of the cluster; without it, the one of {CLUSTER_VARIABLE}, or the only one."


def complete(incomplete: str) -> list[str]:
    """Shell completion: names of clusters on this machine."""
    return [name for name in all_clusters() if name.startswith(incomplete)]


Cluster = typer.Option("--cluster", help=_HELP, autocompletion=complete)
Name = Annotated[str | None, typer.Argument(metavar="NAME", help=_HELP, autocompletion=complete)]


def choose(name: str | None, parameter: str = "NAME", *, running: bool = True) -> ClusterPaths:
    """The cluster's paths; BadInput when the name fits none, or when none is named and there are several.

    `parameter`: the one that takes the name. `running`: of several, one that alone runs is meant.
    """
    clusters = all_clusters()
    where = parameter if name is not None else CLUSTER_VARIABLE
    if name is None:
        name = os.environ.get(CLUSTER_VARIABLE) or _only(clusters, parameter, running=running)
    if (folders := clusters_elsewhere().get(name)) is not None:
        raise BadInput(Problem(where, f"cluster {name!r} has its files in other folders: set {folders}"))
    if name not in {*clusters, *clusters_with_cgroup()}:
        known = ", ".join(clusters) or "none"
        raise BadInput(Problem(where, f"no cluster {name!r} on this machine; there: {known}"))
    return ClusterPaths(name)


def choose_by_option(name: str | None) -> ClusterPaths:
    """The cluster's paths, for a command that takes the name by --cluster."""
    return choose(name, "--cluster")


def _only(clusters: Sequence[str], parameter: str, *, running: bool) -> str:
    if not clusters:
        raise FabricError(_none())
    left = list(clusters)
    if running and len(clusters) > 1:
        left = [each for each in clusters if ClusterPaths(each).store_socket.exists()] or left
    if len(left) > 1:
        names = ", ".join(left)
        what = f"several clusters are here, name one of: {names}; or set {CLUSTER_VARIABLE}"
        raise BadInput(Problem(parameter, what))
    return left[0]


def _none() -> str:
    """Say that there is no cluster, or that others have their files in other folders."""
    others = [f"{name} ({folders})" for name, folders in clusters_elsewhere().items()]
    where = f" in these folders; in others: {', '.join(others)}" if others else " on this machine"
    return f"no cluster{where}; start one: sudo fabric up topologies/two-nodes.yaml"


def is_file(what: str) -> bool:
    """Tell the file of `NAME|FILE` from the name: a name has no slash, and no file is called like it."""
    return "/" in what or os.path.isfile(what)  # noqa: PTH113, Path's raises at a name that Linux does not take


def need_root(what: str) -> None:
    """FabricError unless the caller is root."""
    if os.geteuid() != 0:
        raise FabricError(f"fabric {what} needs root: run it with sudo")
