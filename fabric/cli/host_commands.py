"""Commands about this machine: doctor and images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fabric.cli import output
from fabric.cli.choice import choose, complete, is_file, need_root
from fabric.cli.output import Format, Output
from fabric.cluster import preflight
from fabric.cluster.down import all_clusters
from fabric.cluster.lookup import need_spec
from fabric.cluster.spec import catalogue_of
from fabric.kubelet.catalogue import Catalogue, Listed
from fabric.topology.load import load


def register(app: typer.Typer) -> None:
    app.command("images")(images)
    app.command("doctor")(doctor)


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


def images(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="A topology file, or the name of a cluster; without it, the only cluster.",
            autocompletion=complete,
        ),
    ] = None,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """List the images that manifests can name, and what they run.

    Where there is no cluster, the built-in ones are listed. A topology's spec.images adds more.

    Example: fabric images topologies/two-nodes.yaml
    """
    entries = _catalogue(what).list()
    if format in (Format.json, Format.yaml):
        output.data([_image(entry) for entry in entries], format)
        return
    rows = [
        (
            ", ".join(entry.names),
            " ".join(entry.image.argv) or "what the pod says",
            "built-in" if entry.is_builtin else "topology",
            entry.missing or "yes",
        )
        for entry in entries
    ]
    output.table(("IMAGE", "RUNS", "FROM", "AVAILABLE"), rows)


def _catalogue(what: str | None) -> Catalogue:
    """Return the images of a file, of the cluster that is meant, or the built-in ones where there is none."""
    if what is not None and is_file(what):
        return catalogue_of(load(Path(what)))
    if what is None and not all_clusters():
        return Catalogue.default()
    paths = choose(what)
    need_root("images")
    return need_spec(paths).catalogue()


def _image(entry: Listed) -> dict[str, Any]:
    image = entry.image
    return {
        "names": list(entry.names),
        "argv": list(image.argv),
        "ports": list(image.ports),
        "builtIn": entry.is_builtin,
        "available": not entry.missing,
        "missing": entry.missing,
    }
