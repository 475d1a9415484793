"""`fabric bench`: measurements that can be repeated, each by one command."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from itertools import product
from typing import Annotated

import typer

from fabric.bench import bgp as bgps
from fabric.bench.bgp import BgpTimes
from fabric.bench.up import UpTimes, measure, raised_neighbor_limits
from fabric.cli import output
from fabric.cli.bench_loop_command import loop
from fabric.cli.choice import need_root
from fabric.cli.output import Format, Output, camel
from fabric.cluster.preflight import Size
from fabric.errors import BadInput, Problem

bench = typer.Typer(help="Measure fabric on this machine.", no_args_is_help=True)
SIZES = "2x4,4x100,10x1000"
NODES, NODES_MIN = "10,25,50,100,200", 4


bench.command("loop")(loop)


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.command("up")
def up(
    sizes: Annotated[str, typer.Option(help="NODESxPODS, comma between.")] = SIZES,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each size; medians are shown.")] = 3,
    mininet: Annotated[bool, typer.Option(help="Time as many Mininet hosts in the same run.")] = True,
    tune: Annotated[
        bool, typer.Option(help="Raise the machine's neigh.gc_thresh* while it runs, and put it back.")
    ] = True,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Time up and down, by stage, with memory, beside Mininet's bare hosts.

    Example: sudo fabric bench up --sizes 2x4,4x100 --runs 5
    """
    _prepare()
    wanted = [_size(text) for text in sizes.split(",")]
    most = max(Size.flat(nodes, pods).neighbors for nodes, pods in wanted)
    found: list[UpTimes] = []
    with raised_neighbor_limits(2 * most) if tune else nullcontext():
        for nodes, pods in wanted:
            found.append(measure(nodes, pods, runs=runs, with_mininet=mininet, say=_say))
    if format in (Format.json, Format.yaml):
        output.data(camel([entry.as_json() for entry in found]), format)
        return
    _print(found)


@bench.command("bgp")
def bgp(
    nodes: Annotated[str, typer.Option(help="Numbers of nodes, comma between.")] = NODES,
    mesh: Annotated[bool, typer.Option(help="Measure the full mesh.")] = True,
    reflectors: Annotated[bool, typer.Option(help="Measure two route reflectors.")] = True,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each size; medians are shown.")] = 3,
    silent: Annotated[
        bool, typer.Option(help="Pull a node's cable too, which takes the hold time to notice.")
    ] = False,
    keepalive: Annotated[
        int, typer.Option(min=0, help="Seconds between keepalives; three of them are the hold time. 0: 80.")
    ] = 0,
    tune: Annotated[
        bool, typer.Option(help="Raise the machine's neigh.gc_thresh* while it runs, and put it back.")
    ] = True,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Time how fast real BIRDs tell every node of every block, and forget a node that dies.

    Example: sudo fabric bench bgp --nodes 10,50 --no-reflectors

    Example: sudo fabric bench bgp --nodes 20 --silent --keepalive 2 --runs 1
    """
    _prepare()
    wanted = [_count(text) for text in nodes.split(",")]
    shapes = [shape for shape, asked in zip(bgps.SHAPES, (mesh, reflectors), strict=True) if asked]
    most = Size.flat(max(wanted), max(wanted)).neighbors
    found: list[BgpTimes] = []
    with raised_neighbor_limits(2 * most) if tune else nullcontext():
        for shape, count in product(shapes, wanted):
            times = bgps.measure(
                count, shape, runs=runs, silent=silent, keepalive_seconds=keepalive, say=_say
            )
            found.append(times)
    if format in (Format.json, Format.yaml):
        output.data(camel([entry.as_json() for entry in found]), format)
        return
    header = "NODES SHAPE SESSIONS CONVERGED_S CPU_S PSS_MIB KILLED_S SILENT_S HOLD_S"
    output.table(header.split(" "), [_bgp_row(entry) for entry in found])


def _bgp_row(entry: BgpTimes) -> tuple[object, ...]:
    return (
        entry.nodes,
        entry.shape,
        entry.sessions,
        f"{entry.converged_seconds:.2f}",
        f"{entry.cpu_seconds:.2f}",
        f"{entry.pss_mib:.0f}",
        f"{entry.killed_seconds:.3f}",
        "" if entry.silent_seconds is None else f"{entry.silent_seconds:.2f}",
        entry.hold_seconds,
    )


def _count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < NODES_MIN:
        raise BadInput(Problem("--nodes", f"{text!r} is no number of nodes from {NODES_MIN} on"))
    return int(text)


def _print(found: list[UpTimes]) -> None:
    header = "NODES PODS UP_S DOWN_S USER_S SYS_S PSS_MIB SLAB_MIB MN_UP_S MN_DOWN_S MN/UP MN/DOWN"
    output.table(header.split(" "), [_row(entry) for entry in found])


def _row(entry: UpTimes) -> tuple[object, ...]:
    own = (
        entry.nodes,
        entry.pods,
        f"{entry.up_seconds:.2f}",
        f"{entry.down_seconds:.2f}",
        f"{entry.cpu_user_seconds:.2f}",
        f"{entry.cpu_system_seconds:.2f}",
        f"{entry.pss_mib:.0f}",
        f"{entry.slab_mib:.0f}",
    )
    peer = entry.peer
    if peer is None:
        return (*own, "", "", "", "")
    ratios = (peer.up_seconds / entry.up_seconds, peer.down_seconds / entry.down_seconds)
    seconds = (peer.up_seconds, peer.down_seconds)
    return (*own, *(f"{value:.2f}" for value in (*seconds, *ratios)))


def _size(text: str) -> tuple[int, int]:
    nodes, cross, pods = text.strip().partition("x")
    if not (cross and nodes.isdigit() and pods.isdigit() and int(nodes) and int(pods)):
        raise BadInput(Problem("--sizes", f"{text!r} is no size; write NODESxPODS, such as 4x100"))
    return int(nodes), int(pods)


def _prepare() -> None:
    """A bench that is told to end takes its cluster down first, and puts the machine's limits back."""
    need_root("bench")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _say(text: str) -> None:
    typer.echo(text, err=True)
