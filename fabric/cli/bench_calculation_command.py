"""`fabric bench calculation`: what policies cost a process beside the kernel, by nodes, pods and policies."""

from __future__ import annotations

from typing import Annotated

import typer

from fabric.bench import calculation as measured
from fabric.bench.calculation import CHANGES, CalculationTimes
from fabric.cli import output
from fabric.cli.measurements import measure_all, number, say
from fabric.cli.output import Format, Output, camel
from fabric.errors import BadInput, Problem
from fabric.plugin import registry
from fabric.plugin.policy_calculation import Calculates

SIZES = "10x100x200,10x500x200,10x2000x200,10x10000x200,10x500x10,10x500x1000,10x500x5000,50x500x200"
NODES_MAX, PODS_MAX, POLICIES_MAX, CHANGES_MAX = 1000, 20_000, 20_000, 10_000


def calculation(
    plugin: Annotated[str, typer.Option(help="The network plugin: calico.")] = "calico",
    sizes: Annotated[str, typer.Option(help="NODESxPODSxPOLICIES, comma between.")] = SIZES,
    changes: Annotated[
        int, typer.Option(min=1, max=CHANGES_MAX, help="Changes of each kind; medians are shown.")
    ] = 10,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Measure what the calculation of policies costs.

    Processor time of one process that has all nodes, without a kernel: of all objects at once; of a pod on
    another process' node (a member of sets); of a pod's label; of a policy; of a pod on one of the nodes.

    Example: fabric bench calculation --sizes 10x500x200,10x500x1000
    """
    wanted = [_size(text) for text in sizes.split(",")]
    if plugin not in registry.installed():
        known = ", ".join(registry.installed())
        raise BadInput(Problem("--plugin", f"{plugin!r} is not installed (installed: {known})"))
    found = registry.load(plugin)
    if not isinstance(found, Calculates):
        raise BadInput(Problem("--plugin", f"{plugin!r} has no calculation of its own; choose calico"))
    measure_all(
        (measured.measure(plugin, found, size, changes, say) for size in wanted),
        lambda times: _print(times, format),
    )


def _print(found: list[CalculationTimes], format: Format) -> None:
    if format in (Format.json, Format.yaml):
        output.data(camel([it.as_json() for it in found]), format)
        return
    header = ["PLUGIN", "NODES", "PODS", "POLICIES", "ALL_MS", *(f"{it.upper()}_MS" for it in CHANGES)]
    output.table(header, map(_row, found))


def _row(entry: CalculationTimes) -> tuple[object, ...]:
    changes = (f"{entry.change_milliseconds[it]:.2f}" for it in CHANGES)
    size = (entry.plugin, entry.nodes, entry.pods, entry.policies)
    return (*size, f"{entry.all_milliseconds:.0f}", *changes)


def _size(text: str) -> tuple[int, int, int]:
    words, most = text.split("x"), (NODES_MAX, PODS_MAX, POLICIES_MAX)
    if len(words) == len(most):
        nodes, pods, policies = (
            number(word, least, most=limit) for word, least, limit in zip(words, (1, 1, 0), most, strict=True)
        )
        if nodes is not None and pods is not None and policies is not None:
            return nodes, pods, policies
    form = f"NODESxPODSxPOLICIES, such as 10x500x200, up to {'x'.join(map(str, most))}"
    raise BadInput(Problem("--sizes", f"{text!r} is no size; write {form}"))
