"""The world that a command about policies works on: of manifests where they are named, else of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fabric.api.objects import Object
from fabric.cli.choice import Cluster, choose_by_option, need_root
from fabric.errors import BadInput, FabricError, Problem
from fabric.plugin.policies import Evaluator, World
from fabric.plugin.policy_reading import reference
from fabric.policy import evaluators, names, running
from fabric.policy.manifests import described


def _plugins(incomplete: str) -> list[str]:
    return [it for it in evaluators.names() if it.startswith(incomplete)]


Manifests = Annotated[
    Path | None,
    typer.Option("--manifests", help="Ask of this file, or of a folder's files; nothing needs to run."),
]
Plugin = Annotated[
    str | None,
    typer.Option(
        "--plugin",
        help="With --manifests: whose rules judge; kubernetes, or a network plugin.",
        autocompletion=_plugins,
    ),
]
ClusterName = Annotated[str | None, Cluster]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of pods named without one.")]


@dataclass(frozen=True)
class Asked:
    """A world with who judges it."""

    world: World
    plugin: str
    evaluator: Evaluator
    where: Callable[[Object], str]
    """`file:line` of an object; empty where it is of no file."""


def asked(manifests: Path | None, plugin: str | None, cluster: str | None, command: str) -> Asked:
    """The world of manifests, or of the cluster that is meant; warns of policies that change nothing."""
    found = of_cluster(cluster, command, plugin) if manifests is None else of_manifests(manifests, plugin)
    for obj, why in evaluators.without_effect(found.world, found.plugin, found.evaluator):
        typer.echo(f"warning: {reference(obj)}: {why}", err=True)
    return found


def of_manifests(path: Path, plugin: str | None = None, *, parameter: str = "--manifests") -> Asked:
    found = described(path, plugin, parameter=parameter)
    return Asked(found.world, found.plugin, found.evaluator, found.where)


def of_cluster(cluster: str | None, command: str, plugin: str | None = None) -> Asked:
    if plugin is not None:
        raise BadInput(Problem("--plugin", "goes with --manifests; a cluster has its own network plugin"))
    need_root(command)
    paths = choose_by_option(cluster)
    world = running.world_of(paths)
    name = running.plugin_of(paths)
    return Asked(world, name, evaluators.of(name, world), lambda obj: "")


def endpoints(context: typer.Context, incomplete: str) -> list[str]:
    """Shell completion: pods, nodes; none where they cannot be read."""
    given = context.params
    try:
        found = (
            of_manifests(Path(given["manifests"]))
            if given.get("manifests")
            else of_cluster(given.get("cluster"), "policy")
        )
    except (FabricError, OSError):
        return []
    return names.completions(found.world, incomplete, given.get("namespace") or "default")
