"""`fabric graph`: the underlay of a file, or of a running cluster with its pods and BGP sessions."""

from __future__ import annotations

import asyncio
import enum
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fabric.cli.choice import choose, complete, is_file, need_root
from fabric.cli.output import camel
from fabric.cluster.lookup import need_spec
from fabric.errors import BadInput, FabricError, Problem
from fabric.graph import sources
from fabric.graph.picture import Picture, data
from fabric.graph.text import dot, tree
from fabric.topology.load import load

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class Form(enum.StrEnum):
    """The forms of `-o`."""

    tree = "tree"
    dot = "dot"
    svg = "svg"
    png = "png"
    json = "json"


def register(app: typer.Typer) -> None:
    app.command("graph")(graph)


def graph(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="A topology file, or the name of a cluster; without it, the only cluster.",
            autocompletion=complete,
        ),
    ] = None,
    form: Annotated[Form, typer.Option("-o", "--format", help="How it is drawn.")] = Form.tree,
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.")] = None,
    addresses: Annotated[bool, typer.Option("--addresses", help="Write addresses into SVG and PNG.")] = False,
    interfaces: Annotated[
        bool, typer.Option("--interfaces", help="Write the names of interfaces into SVG and PNG.")
    ] = False,
) -> None:
    """Draw an underlay: hosts, routers, links, pods, BGP sessions.

    Example: fabric graph topologies/flannel-cross-subnet.yaml

    Example: sudo fabric graph flannel-cross-subnet -o svg --output fabric.svg
    """
    if form is Form.png and output is None and sys.stdout.isatty():
        raise BadInput(Problem("-o", "a PNG is no text; name a file: --output fabric.png"))
    drawn = draw(picture_of(what), form, addresses=addresses, interfaces=interfaces)
    if output is None:
        sys.stdout.buffer.write(drawn)
        return
    try:
        output.write_bytes(drawn)
    except OSError as error:
        raise FabricError(f"cannot write {output}: {error.strerror}") from None


def picture_of(what: str | None) -> Picture:
    """The picture of a file where there is one of that name, else of a cluster."""
    if what is not None and is_file(what):
        return sources.of_file(load(Path(what)))
    paths = choose(what)
    need_root("graph")
    return asyncio.run(sources.of_cluster(paths, need_spec(paths)))


def draw(picture: Picture, form: Form, *, addresses: bool = False, interfaces: bool = False) -> bytes:
    """The picture in that form, as the bytes of a file."""
    match form:
        case Form.tree:
            return tree(picture).encode()
        case Form.dot:
            return dot(picture).encode()
        case Form.json:
            return orjson.dumps(camel(data(picture)), option=_OPTIONS)
        case Form.svg:
            from fabric.graph.svg import svg

            return svg(picture, addresses=addresses, interfaces=interfaces).encode()
        case Form.png:
            from fabric.graph.png import png

            return png(picture, addresses=addresses, interfaces=interfaces)
