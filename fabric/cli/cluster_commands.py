"""Commands that look at whole clusters: list, status, kubeconfig."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.choice import Name, choose, need_root
from fabric.cli.output import Format, Output
from fabric.cluster import down as downs
from fabric.cluster import status as statuses
from fabric.cluster.lookup import need_spec
from fabric.errors import FabricError, plural
from fabric.verify import health

TROUBLES_SHOWN_MAX = 20


def register(app: typer.Typer) -> None:
    app.command("list")(list_clusters)
    app.command("status")(status)
    app.command("kubeconfig")(kubeconfig)


def list_clusters(format: Annotated[Format, Output] = Format.table) -> None:
    """List the clusters on this machine.

    FABRIC_RUN_DIR and FABRIC_STATE_DIR name other folders, with clusters of their own.

    Example: fabric list -o json
    """
    found = [statuses.glance(name) for name in downs.all_clusters()]
    if format in (Format.json, Format.yaml):
        output.data([entry.as_json() for entry in found], format)
        return
    output.table(
        ("NAME", "STATUS", "NODES", "PLUGIN", "PROCESSES", "FILE"),
        [(e.name, e.status, e.nodes, e.plugin, e.processes, e.source) for e in found],
    )


def status(name: Name = None, format: Annotated[Format, Output] = Format.table) -> None:
    """Show a cluster's processes, nodes, pods, and what is wrong.

    Example: fabric status two-nodes
    """
    paths = choose(name)
    need_root("status")
    seen = statuses.look(paths)
    if seen.glance.status == "running":
        seen = replace(seen, troubles=seen.troubles + asyncio.run(health.troubles(paths, need_spec(paths))))
    if format in (Format.json, Format.yaml):
        output.data(output.camel(seen.as_json()), format)
    else:
        output.emit(f"Cluster {paths.cluster}: {seen.glance.status}\n")
        output.table(
            ("PROCESS", "PID", "RESTARTS"), [(p.name, p.pid or "dead", p.restarts) for p in seen.processes]
        )
        output.emit("")
        _print_nodes(seen, format)
        output.emit(f"\n{seen.pods_running} of {plural(seen.pods, 'pod')} running")
        for trouble in seen.troubles[:TROUBLES_SHOWN_MAX]:
            output.emit(f"! {trouble}")
        if len(seen.troubles) > TROUBLES_SHOWN_MAX:
            output.emit(
                f"! and {len(seen.troubles) - TROUBLES_SHOWN_MAX} more (fabric status -o json has all)"
            )
    if seen.troubles:
        raise typer.Exit(1)


def _print_nodes(seen: statuses.Overview, format: Format) -> None:
    networks, everywhere = statuses.told_once([n.network for n in seen.nodes])
    output.table(
        ("NODE", "READY", "ADDRESS", "PODS", "NETWORK"),
        [
            (n.name, n.ready, n.address, n.pods, network)
            for n, network in zip(seen.nodes, networks, strict=True)
        ],
    )
    for said in everywhere:
        output.emit(f"on every node: {said}")
    if format is Format.wide:
        output.emit("")
        rows = [(n.name, key, value) for n in seen.nodes for key, value in sorted(n.details.items())]
        output.table(("NODE", "DETAIL", "VALUE"), rows)


def kubeconfig(
    name: Name = None,
    path: Annotated[bool, typer.Option("--path", help="Print where it is, not what is in it.")] = False,
) -> None:
    """Print a cluster's kubeconfig.

    Example: fabric kubeconfig two-nodes > ~/.kube/config
    """
    paths = choose(name)
    need_root("kubeconfig")
    if not paths.kubeconfig.exists():
        raise FabricError(f"cluster {paths.cluster} has no kubeconfig yet: its API server has not come up")
    output.emit(str(paths.kubeconfig) if path else paths.kubeconfig.read_text().rstrip())
