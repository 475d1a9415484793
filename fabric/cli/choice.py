"""Which cluster a command means: the one that is named, or the only one there is."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from fabric.cluster.down import all_clusters
from fabric.cluster.places import Places
from fabric.errors import BadInput, FabricError, Problem


def complete(incomplete: str) -> list[str]:
    """Shell completion: names of clusters on this machine."""
    return [name for name in all_clusters() if name.startswith(incomplete)]


Cluster = typer.Option(
    "--cluster", help="Name of the cluster; without it, the only one.", autocompletion=complete
)

Name = Annotated[
    str | None,
    typer.Argument(help="Name of the cluster; without it, the only one.", autocompletion=complete),
]


def choose(name: str | None) -> Places:
    """The cluster's places; BadInput when the name fits none, or when none is named and there are several."""
    clusters = all_clusters()
    if name is None:
        if len(clusters) == 1:
            return Places(clusters[0])
        if not clusters:
            raise FabricError(
                "no cluster on this machine; start one: sudo fabric up topologies/two-nodes.yaml"
            )
        raise BadInput(Problem("argument", f"several clusters are here, name one of: {', '.join(clusters)}"))
    if name not in clusters:
        known = ", ".join(clusters) or "none"
        raise BadInput(Problem("argument", f"no cluster {name!r} on this machine; there: {known}"))
    return Places(name)


def need_root(what: str) -> None:
    """FabricError unless the caller is root."""
    if os.geteuid() != 0:
        raise FabricError(f"fabric {what} needs root: run it with sudo")
