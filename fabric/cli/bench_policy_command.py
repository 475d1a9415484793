"""`fabric bench policy`: the time from a request to the API until every node enforces its change."""

from __future__ import annotations

from typing import Annotated

import typer

from fabric.bench import policy as measured
from fabric.bench.policy import PolicyTimes
from fabric.cli import output
from fabric.cli.measurements import prepare, say
from fabric.cli.output import Format, Output, camel
from fabric.errors import BadInput, Problem

ENFORCING = ("calico", "canal")
NODES_MAX, PODS_MAX, POLICIES_MAX, CHURN_MAX, SECONDS_MAX = 100, 10_000, 10_000, 10_000, 86400


def policy(
    plugin: Annotated[str, typer.Option(help="The network plugin: calico or canal.")] = "calico",
    nodes: Annotated[int, typer.Option(min=1, max=NODES_MAX, help="Nodes, each with a target.")] = 2,
    pods: Annotated[
        int, typer.Option(min=2, max=PODS_MAX, help="Pods, the targets and the client among them.")
    ] = 20,
    policies: Annotated[
        int, typer.Option(min=0, max=POLICIES_MAX, help="Policies that are there and do not change.")
    ] = 20,
    churn: Annotated[
        int, typer.Option(min=1, max=CHURN_MAX, help="Rounds of eight changes, one after the other.")
    ] = 10,
    seconds: Annotated[
        float, typer.Option(min=1, max=SECONDS_MAX, help="How long the cluster is watched at rest.")
    ] = 10.0,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Measure how long policies take to be enforced.

    From the request, the API's time in it, until packets to a pod of every node meet the change. CPU_MS
    is processor time of all components for one change, IDLE_PERCENT that of the cluster at rest, a node.

    Example: sudo fabric bench policy --nodes 10 --pods 500 --policies 200
    """
    prepare("bench policy")
    if plugin not in ENFORCING:
        what = f"{plugin!r} enforces no policies; choose {' or '.join(ENFORCING)}"
        raise BadInput(Problem("--plugin", what))
    if pods <= nodes:
        what = f"{pods} is too few: a target for each of {nodes} nodes, and the client"
        raise BadInput(Problem("--pods", what))
    found = measured.measure(plugin, nodes, pods, policies, churn, seconds, say)
    if format in (Format.json, Format.yaml):
        output.data(camel([it.as_json() for it in found]), format)
        return
    header = "PLUGIN NODES PODS POLICIES CHANGE N P50_MS P99_MS MAX_MS CPU_MS IDLE_PERCENT"
    output.table(header.split(" "), [_row(it) for it in found])


def _row(entry: PolicyTimes) -> tuple[object, ...]:
    return (
        entry.plugin,
        entry.nodes,
        entry.pods,
        entry.policies,
        entry.change,
        entry.changes,
        f"{entry.p50_milliseconds:.1f}",
        f"{entry.p99_milliseconds:.1f}",
        f"{entry.max_milliseconds:.1f}",
        f"{sum(entry.cpu_milliseconds.values()):.1f}",
        f"{entry.idle_percent:.2f}",
    )
