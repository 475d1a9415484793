"""`fabric cli`: Mininet's command line over a running cluster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from fabric.cli.choice import Name, choose, need_root
from fabric.cluster.places import Places
from fabric.cluster.pods import need_spec
from fabric.cluster.runtimes import all_connections, sandbox_pids
from fabric.cluster.shells import Shells


def register(app: typer.Typer) -> None:
    app.command("cli")(cli)


def cli(
    name: Name = None,
    command: Annotated[
        list[str] | None, typer.Option("-c", "--command", help="Do this and end; may be given again.")
    ] = None,
) -> None:
    """Type Mininet's commands: `node-1 ping pod-2`, pingall, net, links, iperf, link A B down, dump, nodes.

    With -c, or with lines on standard input, the exit code is 1 when the last command failed.

    Example: sudo fabric cli two-nodes

    Example: sudo fabric cli two-nodes -c pingall -c "iperf pod-1 pod-3"
    """
    from fabric.cli.mininet_line import CommandLine
    from fabric.cli.mininet_net import Net

    need_root("cli")
    places = choose(name)
    spec = need_spec(places)
    shells = Shells(places)
    try:
        net = Net(places, spec, shells, asyncio.run(_pids(places, spec.workers)))
        lines: Iterable[str] | None = command or (None if sys.stdin.isatty() else sys.stdin)
        content = CommandLine.open(net, lines)
    finally:
        shells.close()
    if not content:
        raise typer.Exit(1)


async def _pids(places: Places, workers: int) -> dict[str, int]:
    pids: dict[str, int] = {}
    async with all_connections(places, workers) as runtimes:
        for runtime in runtimes:
            pids |= await runtime.nodes()
    return pids | await sandbox_pids(places, workers)
