"""The table of commands: what a user types, and the function that does it."""

from __future__ import annotations

import typer

from fabric.cli import (
    bench_commands,
    cluster_commands,
    file_commands,
    host_commands,
    pod_commands,
    up_command,
)


def register(app: typer.Typer) -> None:
    """Hang every command below the root."""
    app.command("up")(up_command.up)
    app.command("down")(cluster_commands.down)
    app.command("list")(cluster_commands.list_clusters)
    app.command("status")(cluster_commands.status)
    app.command("kubeconfig")(cluster_commands.kubeconfig)
    app.command("plan")(file_commands.plan)
    app.command("schema")(file_commands.schema)
    app.command("exec")(pod_commands.exec_)
    app.command("logs")(pod_commands.logs)
    app.command("images")(host_commands.images)
    app.command("doctor")(host_commands.doctor)
    app.add_typer(bench_commands.bench, name="bench")
