"""`fabric policy matrix`: who reaches whom, as policies mean it."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fabric.cli.policy_worlds import Asked, ClusterName, Manifests, Plugin, asked
from fabric.errors import BadInput, FabricError, Problem
from fabric.plugin.policies import Endpoint
from fabric.policy import differences, matrix, names
from fabric.policy.matrix import Matrix, Service

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class Form(enum.StrEnum):
    """The forms of `-o`."""

    text = "text"
    json = "json"
    html = "html"
    png = "png"


def register(app: typer.Typer) -> None:
    app.command("matrix")(show)


def show(
    predicted: Annotated[
        bool, typer.Option("--predicted", help="What policies mean; no packet is sent.")
    ] = False,
    services: Annotated[
        list[str] | None,
        typer.Option("--port", help="80/tcp, 53/udp, icmp …; without it, what pods declare."),
    ] = None,
    nodes: Annotated[bool, typer.Option("--nodes", help="Nodes, too.")] = False,
    outside: Annotated[
        list[str] | None, typer.Option("--outside", metavar="ADDRESS", help="An address to ask for, too.")
    ] = None,
    staged: Annotated[bool, typer.Option("--staged", help="As if staged policies were enforced.")] = False,
    manifests: Manifests = None,
    plugin: Plugin = None,
    form: Annotated[Form, typer.Option("-o", "--format", help="How it is shown.")] = Form.text,
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.")] = None,
    cluster: ClusterName = None,
) -> None:
    """Show who reaches whom, a table for each port.

    Example: fabric policy matrix --predicted --manifests topologies/policies/shop.yaml

    Example: sudo fabric policy matrix --predicted -o html --output matrix.html
    """
    if not predicted:
        raise BadInput(Problem("--predicted", "missing: say that it is what policies mean that you ask for"))
    if form is Form.png and output is None and sys.stdout.isatty():
        raise BadInput(Problem("-o", "a PNG is no text; name a file: --output matrix.png"))
    found = asked(manifests, plugin, cluster, "policy matrix")
    drawn = draw(_predicted(found, services or (), nodes=nodes, outside=outside or (), staged=staged), form)
    if output is None:
        sys.stdout.buffer.write(drawn)
        return
    try:
        output.write_bytes(drawn)
    except OSError as error:
        raise FabricError(f"cannot write {output}: {error.strerror}") from None


def _predicted(
    found: Asked,
    services: list[str] | tuple[()],
    *,
    nodes: bool,
    outside: list[str] | tuple[()],
    staged: bool,
) -> Matrix:
    world = found.world
    ends: list[Endpoint] = list(world.pods)
    ends += world.nodes.values() if nodes else ()
    ends += (names.endpoint(world, it, parameter="--outside") for it in outside)
    wanted = [Service(*differences.service_of(it)) for it in services]
    wanted = wanted or [Service(*it) for it in differences.declared(world.pods)]
    if not ends or not wanted:
        what = "there is no pod" if not ends else "no pod declares a port: name some with --port 80/tcp"
        raise FabricError(what)
    return matrix.predicted(found.evaluator, ends, ends, wanted, staged=staged)


def draw(found: Matrix, form: Form) -> bytes:
    """The matrix in that form, as the bytes of a file."""
    match form:
        case Form.text:
            return matrix.text(found).encode()
        case Form.json:
            return orjson.dumps(matrix.data(found), option=_OPTIONS)
        case Form.html:
            from fabric.policy.drawing import html

            return html(found).encode()
        case Form.png:
            from fabric.graph.png import drawn
            from fabric.policy.drawing import svg

            return drawn(svg(found))
