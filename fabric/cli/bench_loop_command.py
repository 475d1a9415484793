"""`fabric bench loop`: the cost of a change to a node's loop, and of clusters at rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, NamedTuple

import typer

from fabric.bench import idle as idles
from fabric.bench import loop as loops
from fabric.bench.idle import IdleTimes
from fabric.bench.loop import KERNELS, ChangeTimes
from fabric.bench.parts import CHANGES_MAX, MEMBERS_MAX, PARTS_MAX
from fabric.cli import output
from fabric.cli.measurements import NODES_MAX, PODS_MAX, measure_all, number, prepare, say
from fabric.cli.output import Format, Output, camel
from fabric.errors import BadInput, Problem
from fabric.plugin import registry

PARTS, MEMBERS, IDLE = "10,100,1000", "10000", "flannel:2x10,calico:5x10"
SECONDS_MAX = 86400


class _Cluster(NamedTuple):
    plugin: str
    nodes: int
    pods: int


def loop(
    parts: Annotated[str, typer.Option(help="Numbers of parts, comma between; empty for none.")] = PARTS,
    members: Annotated[
        str, typer.Option(help="Numbers of members of a set, comma between; empty for none.")
    ] = MEMBERS,
    changes: Annotated[
        int, typer.Option(min=1, max=CHANGES_MAX, help="Changes of each; medians are shown.")
    ] = 50,
    real: Annotated[bool, typer.Option(help="Measure on Linux beside the fake kernel.")] = True,
    idle: Annotated[
        str, typer.Option(help="Clusters at rest, PLUGIN:NODESxPODS, comma between; empty for none.")
    ] = IDLE,
    seconds: Annotated[
        float, typer.Option(min=1, max=SECONDS_MAX, help="How long each cluster is watched at rest.")
    ] = 30.0,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Measure what one change costs a node, and a cluster at rest.

    LOOP_MS, WRITE_MS: processor time of the loop, and of writing to Linux; ELAPSED_MS: until it converged.
    STEPS of a change's plan; LINES of ipset restore, for sets only; READS of the kernel, in all changes.

    Example: sudo fabric bench loop --parts 10,1000 --idle ''

    Example: sudo fabric bench loop --parts '' --members '' --idle flannel:10x1000,calico:50x0 --seconds 60
    """
    counts, sizes = _numbers("--parts", parts, PARTS_MAX), _numbers("--members", members, MEMBERS_MAX)
    wanted = [_cluster(text.strip()) for text in idle.split(",") if text.strip()]
    if not (counts or sizes or wanted):
        raise BadInput(Problem("--parts --members --idle", "all are empty: name something to measure"))
    if real or wanted:
        prepare("bench loop")
    kernels = KERNELS if real else KERNELS[:1]
    changing = (it for kernel in kernels for it in loops.measure(kernel, counts, sizes, changes, say))
    resting = (idles.measure(*it, seconds, say) for it in wanted)
    measured: Iterable[ChangeTimes | IdleTimes] = chain(changing, resting)
    measure_all(measured, lambda found: _print(found, format))


def _print(measured: list[ChangeTimes | IdleTimes], format: Format) -> None:
    changed = [it for it in measured if isinstance(it, ChangeTimes)]
    resting = [it for it in measured if isinstance(it, IdleTimes)]
    if format in (Format.json, Format.yaml):
        found = {"changes": [it.as_json() for it in changed], "idle": [it.as_json() for it in resting]}
        output.data(camel(found), format)
        return
    if changed:
        header = "KERNEL CHANGED AMONG LOOP_MS WRITE_MS ELAPSED_MS STEPS LINES READS"
        output.table(header.split(" "), [_change_row(entry) for entry in changed])
    if changed and resting:
        output.emit("")
    if resting:
        header = "PLUGIN NODES PODS CPU_PERCENT BY_PROCESS"
        output.table(header.split(" "), [_idle_row(entry) for entry in resting])


def _change_row(entry: ChangeTimes) -> tuple[object, ...]:
    write = entry.write_milliseconds
    return (
        entry.kernel,
        entry.changed,
        entry.among,
        f"{entry.loop_milliseconds:.3f}",
        "" if write is None else f"{write:.3f}",
        f"{entry.elapsed_milliseconds:.2f}",
        entry.steps,
        "" if entry.restore_lines is None else entry.restore_lines,
        entry.reads,
    )


def _idle_row(entry: IdleTimes) -> tuple[object, ...]:
    shares = " ".join(f"{name}={share:g}" for name, share in entry.by_process.items())
    return entry.plugin, entry.nodes, entry.pods, f"{entry.cpu_percent:.2f}", shares


def _numbers(option: str, text: str, most: int) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = {word: number(word, most=most) for word in words}
    for word, value in found.items():
        if value is None:
            raise BadInput(Problem(option, f"{word!r} is no number from 1 to {most}"))
    return [value for word in words if (value := found[word])]


def _cluster(text: str) -> _Cluster:
    plugin, _, size = text.partition(":")
    nodes, _, pods = size.partition("x")
    counted, held = number(nodes, most=NODES_MAX), number(pods, 0, most=PODS_MAX)
    if counted is None or held is None:
        form = f"PLUGIN:NODESxPODS, such as flannel:2x10, up to {NODES_MAX}x{PODS_MAX}"
        raise BadInput(Problem("--idle", f"{text!r} is no cluster; write {form}"))
    if plugin not in registry.installed():
        known = ", ".join(registry.installed())
        raise BadInput(
            Problem("--idle", f"{text!r}: plugin {plugin!r} is not installed (installed: {known})")
        )
    return _Cluster(plugin, counted, held)
