"""`fabric policy matrix`: who reaches whom, as probes find it and as policies mean it."""

from __future__ import annotations

import asyncio
import enum
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fabric.cli.choice import choose_by_option
from fabric.cli.policy_worlds import Asked, ClusterName, Manifests, Plugin, asked
from fabric.cluster.lookup import need_spec
from fabric.errors import BadInput, FabricError, Problem
from fabric.plugin.policies import Endpoint
from fabric.policy.predicted import declared_ports, predicted
from fabric.verify import probed_matrix
from fabric.verify.matrix import Matrix, Port

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class Form(enum.StrEnum):
    """The forms of `-o`."""

    text = "text"
    json = "json"
    html = "html"
    png = "png"


@dataclass(frozen=True)
class Axes:
    """The ends and ports of a matrix."""

    ends: tuple[Endpoint, ...]
    ports: tuple[Port, ...]


def register(app: typer.Typer) -> None:
    app.command("matrix")(show)


def show(
    only_predicted: Annotated[
        bool, typer.Option("--predicted", help="Only what policies mean; no packet is sent.")
    ] = False,
    ports: Annotated[
        list[str] | None,
        typer.Option("--port", help="80/tcp, 53/udp, icmp, 80/tcp6 …; without it, what pods declare."),
    ] = None,
    nodes: Annotated[bool, typer.Option("--nodes", help="Nodes, too.")] = False,
    staged: Annotated[
        bool, typer.Option("--staged", help="With --predicted: as if staged policies were enforced.")
    ] = False,
    manifests: Manifests = None,
    plugin: Plugin = None,
    form: Annotated[Form, typer.Option("-o", "--format", help="How it is shown.")] = Form.text,
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.")] = None,
    cluster: ClusterName = None,
) -> None:
    """Show who reaches whom, a table for each port.

    Packets are sent from inside every pod, and what they find is compared with what the policies mean. The
    exit code is 1 where the two differ.

    Example: fabric policy matrix --predicted --manifests topologies/policies/shop.yaml

    Example: sudo fabric policy matrix -o html --output matrix.html
    """
    _refuse_contradictions(only_predicted, manifests, form, output, staged=staged)
    found = asked(manifests, plugin, cluster, "policy matrix")
    axes = _axes(found, [Port.of(it, at="--port") for it in ports or ()], nodes=nodes)
    expected = predicted(found.evaluator, axes.ends, axes.ends, axes.ports, staged=staged)
    probed = None if only_predicted else asyncio.run(_probed(cluster, axes))
    _write(draw(expected, form) if probed is None else draw(probed, form, expected), output)
    if probed is not None and probed.mismatches(expected):
        raise typer.Exit(1)


def _refuse_contradictions(
    only_predicted: bool, manifests: Path | None, form: Form, output: Path | None, *, staged: bool
) -> None:
    if manifests is not None and not only_predicted:
        raise BadInput(Problem("--manifests", "nothing runs there that could be probed: add --predicted"))
    if staged and not only_predicted:
        raise BadInput(Problem("--staged", "staged policies are not enforced: add --predicted"))
    if form is Form.png and output is None and sys.stdout.isatty():
        raise BadInput(Problem("-o", "a PNG is no text; name a file: --output matrix.png"))


def _axes(found: Asked, ports: list[Port], *, nodes: bool) -> Axes:
    ends = (*found.world.pods, *(found.world.nodes.values() if nodes else ()))
    wanted = ports or declared_ports(found.world.pods)
    if not ends or not wanted:
        raise FabricError(
            "there is no pod" if not ends else "no pod declares a port: name some: --port 80/tcp"
        )
    for port in wanted:
        if not any(it.address(port.version) for it in ends):
            raise BadInput(Problem("--port", f"{port}: no pod has an IPv{port.version} address"))
    return Axes(tuple(ends), tuple(wanted))


async def _probed(cluster: str | None, axes: Axes) -> Matrix:
    paths = choose_by_option(cluster)
    known = await probed_matrix.endpoints(paths, need_spec(paths))
    ends = [str(it) for it in axes.ends]
    return await probed_matrix.probe_matrix(known, ends, ends, axes.ports)


def draw(found: Matrix, form: Form, expected: Matrix | None = None) -> bytes:
    """The matrix in that form, as the bytes of a file; probed with what was expected, or that alone."""
    match form:
        case Form.text:
            from fabric.policy.matrix_text import text

            return text(found, expected).encode()
        case Form.json:
            return orjson.dumps(found.as_json(expected), option=_OPTIONS)
        case Form.html:
            from fabric.policy.matrix_html import html

            return html(found, expected).encode()
        case Form.png:
            from fabric.policy.matrix_picture import png

            return png(found, expected)


def _write(drawn: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(drawn)
        return
    try:
        output.write_bytes(drawn)
    except OSError as error:
        raise FabricError(f"cannot write {output}: {error.strerror}") from None
