"""`fabric bgp`: every BGP session of a cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from fabric.apiserver.durations import duration
from fabric.cli import output
from fabric.cli.choice import Name, choose, need_root
from fabric.cli.output import Format, Output
from fabric.cluster.lookup import need_spec
from fabric.errors import FabricError
from fabric.verify import bgp as sessions_of
from fabric.verify.bgp import Session
from fabric.verify.birds import birds


def register(app: typer.Typer) -> None:
    app.command("bgp")(bgp)


def bgp(
    name: Name = None,
    down: Annotated[bool, typer.Option("--down", help="Only sessions that are not established.")] = False,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Show all BGP sessions, and why those that are down are down.

    Each end of a session is a line of its own.

    Example: sudo fabric bgp

    Example: sudo fabric bgp route-reflector --down

    With --down, exit code 1 says that a session is not established.
    """
    need_root("bgp")
    paths = choose(name)
    spec = need_spec(paths)
    if not birds(paths, spec):
        raise FabricError(f"no host of cluster {paths.cluster} has a BGP daemon")
    found = asyncio.run(sessions_of.sessions(paths, spec))
    shown = [it for it in found if not (down and it.is_established)]
    if format in (Format.json, Format.yaml):
        output.data(output.camel([it.as_json() for it in shown]), format)
    else:
        wide = format is Format.wide
        if shown:
            output.table(_HEADER + ("SESSION", "LOCAL AS") * wide, [_row(it, wide=wide) for it in shown])
            output.emit("")
        up = sum(it.is_established for it in found)
        output.emit(f"{up}/{len(found)} ends of sessions established")
    if down and shown:
        raise typer.Exit(1)


_HEADER = ("NODE", "PEER", "ADDRESS", "AS", "TYPE", "STATE", "UPTIME", "RECEIVED", "SENT", "REASON")


def _row(it: Session, *, wide: bool) -> tuple[object, ...]:
    if not it.session:
        return (it.node, *("",) * 4, it.state, *("",) * 3, it.reason) + ("", "") * wide
    row = (
        it.node,
        it.peer or "-",
        it.address,
        it.as_number,
        it.type,
        it.state,
        duration(it.seconds),
        it.received,
        it.sent,
        it.reason,
    )
    return row + (it.session, it.local_as) * wide
