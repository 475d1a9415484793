"""`fabric link`: pull a cable of a running cluster, put it back, or change what it does to packets."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Annotated

import typer

from fabric.cli import output
from fabric.cli.choice import Cluster, choose_by_option, need_root
from fabric.cli.completion import devices, far_ends
from fabric.cli.output import Format, Output
from fabric.cluster.lookup import need_spec
from fabric.cluster.underlay import links
from fabric.errors import BadInput, Problem
from fabric.topology.wiring import Link, natural

link = typer.Typer(help="Change the links of a running cluster.", no_args_is_help=True)
A = Annotated[str, typer.Argument(help="One device: a node, switch or router.", autocompletion=devices)]
B = Annotated[str, typer.Argument(help="The device at the other end.", autocompletion=far_ends)]
Number = Annotated[int, typer.Option("--number", min=0, help="Of parallel links, which; 0 is all of them.")]
ClusterName = Annotated[str | None, Cluster]


def register(app: typer.Typer) -> None:
    app.add_typer(link, name="link")


@link.command()
def down(a: A, b: B, number: Number = 0, cluster: ClusterName = None) -> None:
    """Pull the cable between two devices.

    Both ends go down, and BGP and routes react.

    Example: sudo fabric link down leaf-1 spine-1
    """
    _change("down", cluster, a, b, number, lambda it: replace(it, up=False))


@link.command()
def up(a: A, b: B, number: Number = 0, cluster: ClusterName = None) -> None:
    """Put the cable between two devices back in.

    Example: sudo fabric link up leaf-1 spine-1
    """
    _change("up", cluster, a, b, number, lambda it: replace(it, up=True))


@link.command("set")
def set_(
    a: A,
    b: B,
    attributes: Annotated[
        list[str], typer.Argument(help="rate=100Mbit delay=10ms jitter=… loss=0.1% reorder=… mtu=… queue=…")
    ],
    number: Number = 0,
    cluster: ClusterName = None,
) -> None:
    """Change what a link does to packets.

    ATTRIBUTE=none takes one away. `fabric up` is the file again.

    Example: sudo fabric link set leaf-1 spine-1 rate=100Mbit
    """
    _change("set", cluster, a, b, number, lambda it: replace(it, shape=links.shaped(it.shape, attributes)))


@link.command()
def reset(a: A, b: B, number: Number = 0, cluster: ClusterName = None) -> None:
    """Make a link as the topology file has it.

    Example: sudo fabric link reset leaf-1 spine-1
    """
    need_root("link reset")
    paths = choose_by_option(cluster)
    of_file = {it.name: it for it in need_spec(paths).underlay.links}
    _change("reset", cluster, a, b, number, lambda it: of_file[it.name])


@link.command()
def show(
    a: Annotated[
        str | None, typer.Argument(help="Only the links of this device.", autocompletion=devices)
    ] = None,
    b: Annotated[
        str | None, typer.Argument(help="Only those that lead to this one.", autocompletion=far_ends)
    ] = None,
    format: Annotated[Format, Output] = Format.table,
    cluster: ClusterName = None,
) -> None:
    """Show the links, and which are not as the file has them.

    Example: sudo fabric link show leaf-1
    """
    need_root("link show")
    spec = need_spec(choose_by_option(cluster))
    wiring = spec.underlay.wiring()
    if a is not None and a not in wiring:
        known = ", ".join(it.name for it in wiring.of_role("host", "switch", "router"))
        raise BadInput(Problem("A", f"no device {a!r}; there: {known}"))
    found = wiring.links if a is None else wiring.links_of(a)
    if a is not None and b is not None:
        found = links.between(wiring, a, b)
    found = sorted(found, key=lambda it: natural(it.name))
    changed = spec.underlay.changes
    if format in (Format.json, Format.yaml):
        output.data([_as_json(it) | {"changed": it.name in changed} for it in found], format)
        return
    output.table(
        ("A", "B", "STATE", "MTU", "SHAPE", "FILE"),
        [(*_row(it), "changed" if it.name in changed else "same") for it in found],
    )


def _change(what: str, cluster: str | None, a: str, b: str, number: int, alter: links.Alter) -> None:
    need_root(f"link {what}")
    paths = choose_by_option(cluster)
    wanted = links.change(paths, a, b, number, alter)
    asyncio.run(links.applied(paths, (a, b)))
    for each in wanted:
        words = " ".join(filter(None, (f"mtu {each.shape.mtu}", str(each.shape))))
        output.emit(f"link {each.name} is {'up' if each.up else 'down'} ({words})")


def _as_json(it: Link) -> dict[str, object]:
    shape: dict[str, object] = output.camel(asdict(it.shape))
    return {"a": it.a, "b": it.b, "number": it.number, "up": it.up} | shape


def _row(it: Link) -> tuple[str, str, str, int, str]:
    far = f"{it.b} ({it.number})" if it.number > 1 else it.b
    return it.a, far, "up" if it.up else "down", it.shape.mtu, str(it.shape)
