"""Commands about this machine: doctor and images."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fabric.cli import output
from fabric.cli.output import Format, Output
from fabric.cluster import preflight
from fabric.cluster.paths import image_files
from fabric.kubelet.catalogue import Catalogue, Listed


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


def images(format: Annotated[Format, Output] = Format.table) -> None:
    """List the images that containers can use here, and what each runs.

    More are added in /etc/fabric/images.yaml, or in files that FABRIC_IMAGES names.

    Example: fabric images
    """
    entries = Catalogue.default(image_files()).list()
    if format in (Format.json, Format.yaml):
        output.data([_image(entry) for entry in entries], format)
        return
    rows = [
        (", ".join(entry.names), " ".join(entry.image.argv) or "what the pod says", entry.missing or "yes")
        for entry in entries
    ]
    output.table(("IMAGE", "RUNS", "AVAILABLE"), rows)


def _image(entry: Listed) -> dict[str, Any]:
    image = entry.image
    return {
        "names": list(entry.names),
        "argv": list(image.argv),
        "ports": list(image.ports),
        "available": not entry.missing,
        "missing": entry.missing,
    }
