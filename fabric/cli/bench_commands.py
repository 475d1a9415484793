"""`fabric bench`: measurements that can be repeated, each by one command."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Annotated, Any, TypeVar

import typer

from fabric.bench import bgp as bgps
from fabric.bench.bgp import BgpTimes
from fabric.bench.up import UpTimes, measure
from fabric.cli import output
from fabric.cli.bench_calculation_command import calculation
from fabric.cli.bench_loop_command import loop
from fabric.cli.bench_policy_command import policy
from fabric.cli.bench_probes_command import probes
from fabric.cli.measurements import NODES_MAX, PODS_MAX, measure_all, number, prepare, say, tell_file_systems
from fabric.cli.output import Format, Output, camel
from fabric.errors import BadInput, Problem

bench = typer.Typer(help="Measure fabric on this machine.", no_args_is_help=True)
SIZES = "2x4,4x100,10x1000"
NODES, NODES_MIN = "10,25,50,100,200", 4
UP_HEADER = "NODES PODS UP_S DOWN_S USER_S SYS_S PSS_MIB SLAB_MIB MN_UP_S MN_DOWN_S MN/UP MN/DOWN"
BGP_HEADER = "NODES SHAPE SESSIONS CONVERGED_S CPU_S PSS_MIB KILLED_S SILENT_S HOLD_S"
Times = TypeVar("Times", UpTimes, BgpTimes)
KEEPALIVE_SECONDS_MAX = 65535 // 3
"""Three of them are the hold time, which has two bytes in BGP (RFC 4271)."""
Tune = Annotated[bool, typer.Option(help="Let `up --tune` raise the machine's limit of ARP entries.")]


bench.command("loop")(loop)
bench.command("probes")(probes)
bench.command("policy")(policy)
bench.command("calculation")(calculation)


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.command("up")
def up(
    sizes: Annotated[str, typer.Option(help="NODESxPODS, comma between.")] = SIZES,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each size; medians are shown.")] = 3,
    mininet: Annotated[bool, typer.Option(help="Time as many Mininet hosts in the same run.")] = True,
    tune: Tune = True,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Time up and down, and measure memory.

    Each stage is timed, and Mininet's bare hosts beside them.

    Example: sudo fabric bench up --sizes 2x4,4x100 --runs 5
    """
    prepare("bench up")
    wanted = [_size(text) for text in sizes.split(",")]
    tell_file_systems()
    measure_all(
        (measure(nodes, pods, runs=runs, with_mininet=mininet, tune=tune, say=say) for nodes, pods in wanted),
        lambda found: _print(found, UP_HEADER, _up_row, format),
    )


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
        int,
        typer.Option(
            min=0,
            max=KEEPALIVE_SECONDS_MAX,
            help="Seconds between keepalives; three of them are the hold time. 0: 80.",
        ),
    ] = 0,
    tune: Tune = True,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Time how real BIRDs tell all blocks, and forget a dead node.

    Example: sudo fabric bench bgp --nodes 10,50 --no-reflectors

    Example: sudo fabric bench bgp --nodes 20 --silent --keepalive 2 --runs 1
    """
    prepare("bench bgp")
    wanted = [_count(text) for text in nodes.split(",")]
    shapes = [shape for shape, asked in zip(bgps.SHAPES, (mesh, reflectors), strict=True) if asked]
    if not shapes:
        raise BadInput(Problem("--no-mesh --no-reflectors", "nothing is left to measure: leave one out"))
    asked: dict[str, Any] = {"runs": runs, "silent": silent, "keepalive_seconds": keepalive, "tune": tune}
    measure_all(
        (bgps.measure(count, shape, **asked, say=say) for shape, count in product(shapes, wanted)),
        lambda found: _print(found, BGP_HEADER, _bgp_row, format),
    )


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
    if (found := number(text, NODES_MIN, most=NODES_MAX)) is None:
        what = f"{text!r} is no number of nodes from {NODES_MIN} to {NODES_MAX}"
        raise BadInput(Problem("--nodes", what))
    return found


def _print(
    found: list[Times], header: str, row: Callable[[Times], tuple[object, ...]], format: Format
) -> None:
    if format in (Format.json, Format.yaml):
        output.data(camel([entry.as_json() for entry in found]), format)
    else:
        output.table(header.split(" "), map(row, found))


def _up_row(entry: UpTimes) -> tuple[object, ...]:
    own = (
        entry.nodes,
        entry.pods,
        f"{entry.up_seconds:.2f}",
        f"{entry.down_seconds:.2f}",
        f"{entry.cpu_user_seconds:.2f}",
        f"{entry.cpu_system_seconds:.2f}",
        f"{entry.pss_mib:.0f}",
        str(round(entry.slab_mib)),  # of -0.4 no -0
    )
    peer = entry.peer
    if peer is None:
        return (*own, "", "", "", "")
    ratios = (peer.up_seconds / entry.up_seconds, peer.down_seconds / entry.down_seconds)
    seconds = (peer.up_seconds, peer.down_seconds)
    return (*own, *(f"{value:.2f}" for value in (*seconds, *ratios)))


def _size(text: str) -> tuple[int, int]:
    nodes, _, pods = text.partition("x")
    counted, held = number(nodes, most=NODES_MAX), number(pods, most=PODS_MAX)
    if counted is None or held is None:
        what = f"{text!r} is no size; write NODESxPODS, such as 4x100, up to {NODES_MAX}x{PODS_MAX}"
        raise BadInput(Problem("--sizes", what))
    return counted, held
