"""`fabric up`: a file becomes a running, checked cluster."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fabric.api.objects import Object, key_of
from fabric.cli import output
from fabric.cli.choice import need_root
from fabric.cli.output import Format, Output
from fabric.cluster import component_logs, preflight, validation
from fabric.cluster.stages import Progress, Settled, Settling
from fabric.cluster.up import UpResult, begin
from fabric.errors import plural
from fabric.policy import running
from fabric.topology.load import load
from fabric.topology.model import Topology
from fabric.verify.reachability import Matrix, PodEnded, pod_reachability

AGAIN_SECONDS = 0.1
"""Until pods are looked at again of which one ended when they were about to be checked."""


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    file: Annotated[Path, typer.Argument(help="The topology file.")],
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that one stage may take.")] = 120.0,
    check: Annotated[bool, typer.Option(help="Check at the end that pods reach each other.")] = True,
    tune: Annotated[
        bool, typer.Option("--tune", help="Raise the limit of ARP entries while the cluster lives.")
    ] = False,
    format: Annotated[Format, Output] = Format.table,
) -> None:
    """Start a file's cluster, or bring it to the changed file.

    Example: sudo fabric up topologies/two-nodes.yaml
    """
    began = time.monotonic()
    topology = load(file)
    component_logs.level()
    validation.check_network(topology)
    for told in validation.check_manifests(topology):
        typer.echo(f"warning: {told}", err=True)
    need_root("up")
    stages = Stages(quiet=format in (Format.json, Format.yaml))
    stages.show(Progress("preflight", "running"))
    required = validation.requirements(topology)
    judgement = preflight.check(topology, required, validation.arp_entries(topology), tune=tune)
    stages.show(Progress("preflight", "done"))
    for warning in judgement.warnings:
        typer.echo(f"warning: {warning}", err=True)
    begun = begin(topology, judgement.features, judgement.arp_entries, tune=tune)
    name = begun.spec.name
    try:
        settled, matrix = asyncio.run(_settle(begun, topology, stages, timeout, check))
    except KeyboardInterrupt:
        what = f"cluster {name} goes on coming up; fabric status {name} shows it, fabric down {name} ends it"
        typer.echo(f"\ninterrupted: {what}", err=True)
        raise typer.Exit(130) from None
    _summary(begun, settled, matrix, stages, time.monotonic() - began, format)


async def _settle(
    begun: UpResult, topology: Topology, stages: Stages, timeout: float, check: bool
) -> tuple[Settled, Matrix | None]:
    network = validation.network_objects(topology)
    settling = Settling(
        begun.paths, begun.spec, topology.manifests, network, stages.show, seconds_max=timeout
    )
    try:
        settled = await settling.run()
        if not check:
            return settled, None

        def checked(done: int, total: int) -> None:
            stages.show(Progress("reachability", "running", done=done, total=total))

        checked(0, 0)
        deadline = time.monotonic() + timeout
        while True:
            try:
                closed = await asyncio.to_thread(running.closed_pings, begun.paths)
                matrix = await pod_reachability(begun.paths, begun.spec, settled.pods, checked, closed)
                break
            except PodEnded:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)
            settled = await settling.settled()
        failed = matrix.first_failure
        state: Literal["done", "failed"] = "failed" if failed else "done"
        stages.show(Progress("reachability", state, failed, matrix.reached, matrix.total))
        return settled, matrix
    finally:
        await settling.close()


def _summary(
    begun: UpResult,
    settled: Settled,
    matrix: Matrix | None,
    stages: Stages,
    seconds: float,
    format: Format,
) -> None:
    rows = [_pod(pod) for pod in settled.pods]
    if format in (Format.json, Format.yaml):
        addresses = {node.name: str(node.interface.ip) for node in begun.spec.nodes}
        value: dict[str, Any] = {
            "cluster": begun.spec.name,
            "nodes": [{"name": name, "address": addresses[name]} for name in settled.nodes],
            "pods": rows,
            "differences": settled.differences,
            "otherPodsNotUp": settled.others_late,
            "reachability": matrix.as_json() if matrix else None,
            "seconds": round(seconds, 3),
            "stages": stages.seconds,
            "kubeconfig": str(begun.paths.kubeconfig),
        }
        output.data(value, format)
    else:
        _summary_text(begun, settled, matrix, seconds, wide=format == Format.wide)
    if settled.differences or (matrix is not None and not matrix.complete):
        raise typer.Exit(1)


PODS_SHOWN_MAX = 20


def _summary_text(
    begun: UpResult, settled: Settled, matrix: Matrix | None, seconds: float, *, wide: bool
) -> None:
    rows = [_pod(pod) for pod in settled.pods]
    output.emit("")
    shown = rows if wide else rows[:PODS_SHOWN_MAX]
    if shown:
        output.table(("NAMESPACE", "POD", "IP", "NODE"), [tuple(row.values())[:4] for row in shown])
    if len(rows) > len(shown):
        output.emit(f"… and {len(rows) - len(shown)} more (fabric up -o wide shows all)")
    what = "is up" if begun.created else "is as the file says"
    if settled.differences:
        what = "is not as the file says"
    counted = f"{plural(len(settled.nodes), 'node')}, {plural(len(rows), 'pod')}"
    output.emit(f"\nCluster {begun.spec.name} {what}: {counted}")
    for difference in settled.differences:
        output.emit(f"! {difference}")
    for late in settled.others_late[:PODS_SHOWN_MAX]:
        output.emit(f"note: {late}")
    if more := len(settled.others_late[PODS_SHOWN_MAX:]):
        output.emit(f"note: {plural(more, 'more pod')} not of the file, not up; see fabric status")
    if matrix is not None:
        output.emit(matrix.sentence())
    output.emit(f"{seconds:.1f} s")
    output.emit(f"export KUBECONFIG={begun.paths.kubeconfig}")


def _pod(pod: Object) -> dict[str, str]:
    key = key_of(pod)
    status = pod.get("status") or {}
    return {
        "namespace": key.namespace,
        "name": key.name,
        "ip": status.get("podIP", ""),
        "node": pod["spec"].get("nodeName", ""),
        "phase": status.get("phase", ""),
    }


_MARKS = {"running": "…", "done": "✓", "failed": "✗"}
_DETAIL_MAX = 100
LOG_SECONDS = 5.0
"""A stage that goes on has a line in a log this often, and the first after so long a time."""


class Stages:
    """The printer of progress as it comes; `seconds` has how long each stage took."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._began: dict[str, float] = {}
        self._logged: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        """Take one report."""
        now = time.monotonic()
        began = self._began.setdefault(progress.stage, now)
        if progress.state != "running":
            self.seconds[progress.stage] = round(now - began, 3)
        if self._quiet:
            return
        line = self._line(progress, now - began)
        if not self._live:
            if progress.state != "running" or now - self._logged.get(progress.stage, began) >= LOG_SECONDS:
                self._logged[progress.stage] = now
                print(line, file=sys.stderr, flush=True)
            return
        end = "" if progress.state == "running" else "\n"
        if progress.state == "running":  # a line that is wrapped could not be written over
            line = line[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)

    @staticmethod
    def _line(progress: Progress, seconds: float) -> str:
        count = f"{progress.done}/{progress.total}" if progress.total > 1 else ""
        detail = progress.detail if progress.state != "done" else ""
        if len(detail) > _DETAIL_MAX:
            detail = detail[: _DETAIL_MAX - 1] + "…"
        text = f"{_MARKS[progress.state]} {progress.stage:<14} {count:>9} {seconds:6.2f} s"
        return f"{text}  {detail}".rstrip()
