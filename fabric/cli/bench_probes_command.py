"""`fabric bench probes`: the speed of the probes by which `fabric policy matrix` asks."""

from __future__ import annotations

from typing import Annotated

import typer

from fabric.bench import probes as measured
from fabric.bench.probes import ProbeTimes
from fabric.cli import output
from fabric.cli.measurements import prepare, say
from fabric.cli.output import Format, Output, camel
from fabric.errors import BadInput, Problem
from fabric.plugin import registry

NODES_MAX, PODS_MAX, JOBS_MAX = 100, 1000, 1_000_000


def probes(
    plugin: Annotated[str, typer.Option(help="The network plugin of the cluster.")] = "flannel",
    nodes: Annotated[int, typer.Option(min=1, max=NODES_MAX, help="Nodes of the cluster.")] = 2,
    pods: Annotated[int, typer.Option(min=1, max=PODS_MAX, help="Pods, each of which asks all.")] = 10,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Jobs of each kind, in a round.")] = 10000,
    runs: Annotated[int, typer.Option(min=1, help="Rounds of each kind; medians are shown.")] = 3,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Measure how many probes a second go from pod to pod.

    EXPECTED have the right outcome: delivered, or refused where nobody serves the port. CPU_US is this
    process' time for one job, MEDIAN_US is from a packet to its answer.

    Example: sudo fabric bench probes --plugin calico --nodes 4 --pods 40
    """
    prepare("bench probes")
    if plugin not in registry.installed():
        known = ", ".join(registry.installed())
        raise BadInput(Problem("--plugin", f"{plugin!r} is not installed (installed: {known})"))
    found = measured.measure(plugin, nodes, pods, jobs, runs, say)
    if format in (Format.json, Format.yaml):
        output.data(camel([it.as_json() for it in found]), format)
        return
    header = "PLUGIN NODES PODS PROTOCOL PORT JOBS EXPECTED PER_SECOND CPU_US MEDIAN_US"
    output.table(header.split(" "), [_row(it) for it in found])


def _row(entry: ProbeTimes) -> tuple[object, ...]:
    return (
        entry.plugin,
        entry.nodes,
        entry.pods,
        entry.protocol,
        entry.port or "",
        entry.jobs,
        entry.expected,
        f"{entry.per_second:.0f}",
        f"{entry.cpu_microseconds:.0f}",
        f"{entry.median_microseconds:.0f}",
    )
