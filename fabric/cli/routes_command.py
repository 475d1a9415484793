"""`fabric routes`: a host's routes, who wrote each, and why packets take the one they take."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.choice import Cluster, choose_by_option, need_root
from fabric.cli.completion import devices
from fabric.cli.output import Format, Output
from fabric.cluster import lookup
from fabric.errors import BadInput, FabricError, Problem
from fabric.netstate.objects import IPAddress, IPNetwork, NextHop
from fabric.verify import routes as routes_of
from fabric.verify.routes import Line, Offer, Table


def register(app: typer.Typer) -> None:
    app.command("routes")(routes)


def routes(
    node: Annotated[
        str, typer.Argument(help="A node, switch or router, or control-plane.", autocompletion=devices)
    ],
    destination: Annotated[
        str | None,
        typer.Argument(
            help="An address: which route wins, and why. A network: the routes to it and into it."
        ),
    ] = None,
    format: Annotated[Format, Output] = Format.table,
    cluster: Annotated[str | None, Cluster] = None,
) -> None:
    """Show a host's routes, and who wrote them.

    Of those that BIRD wrote, it is shown from which session they came.

    Example: sudo fabric routes node-1

    Example: sudo fabric routes node-1 10.244.247.7
    """
    need_root("routes")
    paths = choose_by_option(cluster)
    lookup.worker_of(paths, node, at="NODE")
    wanted = _destination(destination)
    found = asyncio.run(routes_of.table(paths, lookup.need_spec(paths), node))
    if found.trouble:
        typer.echo(f"! {found.trouble}", err=True)
    if isinstance(wanted, IPAddress):
        _explain(node, wanted, found, format)
        return
    lines = found.lines if wanted is None else found.inside(wanted)
    if not lines and wanted is not None:
        raise FabricError(f"{node} has no route to {wanted}, nor to any network in it")
    if format in (Format.json, Format.yaml):
        output.data([line.as_json() for line in lines], format)
        return
    wide = format is Format.wide
    output.table(_HEADER + ("NOT TAKEN",) * wide, [_row(line, wide=wide) for line in lines])


_HEADER = ("DESTINATION", "WAY", "METRIC", "WRITTEN BY", "FROM")


def _destination(text: str | None) -> IPAddress | IPNetwork | None:
    if text is None:
        return None
    try:
        return ip_network(text, strict=False) if "/" in text else ip_address(text)
    except ValueError:
        what = f"{text!r} is neither an address (10.244.1.5) nor a network (10.244.1.0/26)"
        raise BadInput(Problem("DESTINATION", what)) from None


def _explain(node: str, address: IPAddress, table: Table, format: Format) -> None:
    """Say which of a host's routes a packet to this address takes, and why not the others."""
    found = table.matching(address)
    if not found and not table.is_own(address):
        raise FabricError(f"{node} has no route to {address}: it answers that the network is unreachable")
    if format in (Format.json, Format.yaml):
        matching = [line.as_json() for line in found]
        output.data({"address": str(address), "isOwn": table.is_own(address), "routes": matching}, format)
        return
    if table.is_own(address):
        output.emit(f"{address} is {node}'s own address: packets to it stay there")
        return
    winner, *others = found
    output.emit(f"{address} on {node}: {_sentence(winner)}")
    for offer in winner.offers:
        output.emit(f"  BIRD {'took' if offer.is_taken else 'has '} {_offer(offer)}")
    for line in others:
        output.emit(f"not: {_sentence(line)}: {_why_not(line, winner)}")


def _why_not(line: Line, winner: Line) -> str:
    its, least = line.route.dst.prefixlen, winner.route.dst.prefixlen
    if its < least:
        return f"/{its} is shorter than /{least}"
    return f"metric {line.route.metric} is higher than {winner.route.metric}"


def _sentence(line: Line) -> str:
    who = ", ".join(offer.who for offer in line.taken)
    origin = f", from {who}" if who else ""
    return f"{_name(line)} {_way(line)}, written by {line.written_by}{origin}"


def _row(line: Line, *, wide: bool) -> tuple[object, ...]:
    row = (
        _name(line),
        _way(line),
        line.route.metric or "",
        line.written_by,
        ", ".join(offer.who for offer in line.taken),
    )
    lost = (f"{offer.who}: {offer.reason}" for offer in line.offers if not offer.is_taken)
    return row + ("; ".join(lost),) * wide


def _offer(offer: Offer) -> str:
    path = f", AS path {' '.join(map(str, offer.as_path))}" if offer.as_path else ""
    hop = f" by {offer.next_hop}" if offer.next_hop else ""
    return f"{offer.who}{hop}{path}" + (f": {offer.reason}" if offer.reason else "")


def _name(line: Line) -> str:
    return str(line.route.dst) if line.route.dst.prefixlen else "default"


def _way(line: Line) -> str:
    if line.route.type != "unicast":
        return line.route.type
    return ", ".join(map(_hop, line.next_hops))


def _hop(hop: NextHop) -> str:
    via = f"via {hop.via} " if hop.via else ""
    return f"{via}dev {hop.dev}" + " onlink" * hop.onlink
