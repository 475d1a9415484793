"""Commands about topology files, which need no root: plan and schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.output import Format, Output
from fabric.cluster import validation
from fabric.cluster.plan import plan as plan_of
from fabric.errors import plural
from fabric.netstate.plan import Plan
from fabric.topology.load import load
from fabric.topology.underlay_schema import SCHEMA


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)
    app.command("schema")(schema)


def plan(
    file: Annotated[Path, typer.Argument(help="The topology file.")],
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Check a topology file, and show what would be done to Linux.

    What is done is shown namespace by namespace.

    Example: fabric plan topologies/two-nodes.yaml
    """
    topology = load(file)
    validation.check_network(topology)
    for told in validation.check_manifests(topology):
        typer.echo(f"warning: {told}", err=True)
    plans = plan_of(topology)
    if format in (Format.json, Format.yaml):
        value = [
            {"namespace": p.name, "underlay": _steps(p.underlay), "network": _steps(p.network)}
            | ({"bird.conf": p.bird} if p.bird else {})
            for p in plans
        ]
        output.data(value, format)
        return
    for each in plans:
        output.emit(str(each))
    output.emit(
        f"then {plural(len(topology.manifests), 'manifest')} applied, and pods are wired where they run"
    )


def _steps(plan: Plan) -> list[str]:
    return [str(step) for step in plan.steps]


def schema() -> None:
    """Print the JSON Schema of topology files.

    Example: fabric schema > topology.schema.json
    """
    output.data(SCHEMA, Format.json)
