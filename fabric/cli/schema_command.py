"""`fabric schema`: the JSON Schema of topology files."""

from __future__ import annotations

import typer

from fabric.cli import output
from fabric.cli.output import Format
from fabric.topology.underlay_schema import SCHEMA


def register(app: typer.Typer) -> None:
    app.command("schema")(schema)


def schema() -> None:
    """Print the JSON Schema of topology files, for editors and for checks.

    Example: fabric schema > topology.schema.json
    """
    output.data(SCHEMA, Format.json)
