"""`fabric down` removes a cluster with everything that it had."""

from __future__ import annotations

from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.choice import Name, choose, need_root
from fabric.cluster import down as downs
from fabric.errors import BadInput, Problem


def register(app: typer.Typer) -> None:
    app.command("down")(down)


def down(
    name: Name = None,
    all_: Annotated[bool, typer.Option("--all", help="Take down every cluster that `list` shows.")] = False,
) -> None:
    """Remove a cluster: processes, namespaces, rules and files.

    Example: sudo fabric down two-nodes
    """
    if all_ and name is not None:
        raise BadInput(Problem("--all", "give it or a NAME, not both"))
    need_root("down")
    names = downs.all_clusters() if all_ else [choose(name, running=False).cluster]
    for each in names:
        downs.down(each)
        output.emit(f"Cluster {each} is down.")
    if not names:
        output.emit("No cluster on this machine.")
