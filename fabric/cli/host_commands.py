"""Commands about this machine: doctor and images."""

from __future__ import annotations

from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.output import Format, Output
from fabric.cluster import preflight
from fabric.kernel.images import Catalogue


def doctor(
    nodes: Annotated[int, typer.Option(min=1, help="Judge the limits for that many nodes.")] = 10,
    pods: Annotated[int, typer.Option(min=0, help="… and that many pods.")] = 200,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Say what this host lacks, what that costs, and how to mend it. Changes nothing.

    Example: sudo fabric doctor --nodes 100 --pods 2000
    """
    found = preflight.examine(nodes, pods)
    if format in (Format.json, Format.yaml):
        output.data([finding.as_json() for finding in found], format)
    else:
        output.table(("", "CHECK", "FOUND", "REMEDY"), [(f.level, f.name, f.what, f.remedy) for f in found])
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


def images(format: Annotated[Format, Output] = Format.table) -> None:
    """List the images that containers can use here, and what each runs.

    Example: fabric images
    """
    entries = Catalogue.default().list()
    if format in (Format.json, Format.yaml):
        output.data(
            [{"name": e.name, "runs": e.runs, "available": e.available, "why": e.why} for e in entries],
            format,
        )
        return
    output.table(
        ("IMAGE", "RUNS", "AVAILABLE"),
        [(e.name, e.runs, "yes" if e.available else f"no: {e.why}") for e in entries],
    )
