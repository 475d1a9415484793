"""`fabric cli`: Mininet's command line over a running cluster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from fabric.cli.choice import Name, choose, need_root
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import Shells, host_pids, sandbox_pids


def register(app: typer.Typer) -> None:
    app.command("cli")(cli)


def cli(
    name: Name = None,
    command: Annotated[
        list[str] | None, typer.Option("-c", "--command", help="Do this and end; may be given again.")
    ] = None,
) -> None:
    """Type Mininet's commands, such as `node-1 ping pod-2`.

    There are pingall, net, links, iperf, link A B down, dump, nodes.

    With -c, or with lines on standard input, the exit code is 1 when the last command failed.

    Example: sudo fabric cli two-nodes

    Example: sudo fabric cli two-nodes -c pingall -c "iperf pod-1 pod-3"
    """
    from fabric.cli.mininet_line import CommandLine
    from fabric.cli.mininet_net import Net

    need_root("cli")
    paths = choose(name)
    spec = need_spec(paths)
    shells = Shells(paths)
    try:
        net = Net(paths, spec, shells, asyncio.run(_pids(paths, spec.workers)))
        lines: Iterable[str] | None = command or (None if sys.stdin.isatty() else sys.stdin)
        content = CommandLine.open(net, lines)
    finally:
        shells.close()
    if not content:
        raise typer.Exit(1)


async def _pids(paths: ClusterPaths, workers: int) -> dict[str, int]:
    return await host_pids(paths, workers) | await sandbox_pids(paths, workers)
