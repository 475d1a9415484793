"""Commands about one pod, or one node: exec and logs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from fabric.api.objects import Object
from fabric.cli import terminal
from fabric.cli.choice import Cluster, choose_by_option, need_root
from fabric.cli.completion import devices
from fabric.cluster import container_logs, lookup
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import connection
from fabric.errors import BadInput, FabricError, Problem
from fabric.runtime.contract import StartError

NOT_FOUND = 127
"""What a shell answers for a program that is not there."""

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the pod.")]
Container = Annotated[str | None, typer.Option("--container", "-c", help="Container; without it, the first.")]
NodeName = Annotated[
    str | None,
    typer.Option(
        "--node",
        help="Run on this node, switch or router, or on control-plane, not in a pod.",
        autocompletion=devices,
    ),
]
ClusterName = Annotated[str | None, Cluster]


def register(app: typer.Typer) -> None:
    app.command("exec")(exec_)
    app.command("logs")(logs)


def exec_(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[POD] -- COMMAND", help="With --node no POD is named.")
    ] = None,
    namespace: Namespace = "default",
    container: Container = None,
    node: NodeName = None,
    stdin: Annotated[bool, typer.Option("--stdin", "-i", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the program a terminal.")] = False,
    cluster: ClusterName = None,
) -> None:
    """Run a program in a pod, or on a node.

    Example: sudo fabric exec pod-1 -- ping -c 1 10.244.2.2

    Example: sudo fabric exec --node node-1 -- ip route
    """
    need_root("exec")
    paths = choose_by_option(cluster)
    words = arguments or []
    name, command = (None, words) if node is not None else (next(iter(words), ""), words[1:])
    if not command:
        where = f"--node {node}" if node is not None else name or "POD"
        raise BadInput(Problem("COMMAND", f"missing; write: fabric exec {where} -- COMMAND"))
    if tty and not sys.stdin.isatty():
        raise BadInput(Problem("--tty", "standard input is not a terminal; leave out -t"))
    try:
        code = asyncio.run(_exec(paths, name, node, namespace, container, command, stdin=stdin, tty=tty))
    except StartError as error:
        typer.echo(f"error: {error}", err=True)
        code = NOT_FOUND
    raise typer.Exit(code)


async def _exec(
    paths: ClusterPaths,
    pod_name: str | None,
    node: str | None,
    namespace: str,
    container: str | None,
    command: list[str],
    *,
    stdin: bool,
    tty: bool,
) -> int:
    pod: Object | None = None
    if pod_name is not None:
        pod = lookup.need_pod(paths, pod_name, namespace)
        node = pod["spec"].get("nodeName")
        if not node:
            raise FabricError(f"pod {pod_name} is not scheduled yet; see fabric status")
    assert node is not None
    worker = lookup.worker_of(paths, node)
    env = {"TERM": os.environ.get("TERM", "xterm")} if tty else {}
    files = (None, None, None) if tty else (0 if stdin else None, 1, 2)
    async with connection(paths, worker) as runtime:
        if pod is None:
            session = await runtime.exec_node(
                node, command, env=env, tty=tty, stdin=files[0], stdout=files[1], stderr=files[2]
            )
        else:
            target = lookup.container_id(pod, lookup.container_name(pod, container))
            session = await runtime.exec(
                target, command, env=env, tty=tty, stdin=files[0], stdout=files[1], stderr=files[2]
            )
        return await terminal.join(session)


def logs(
    pod: Annotated[str, typer.Argument(help="Name of the pod.")],
    namespace: Namespace = "default",
    container: Container = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the container writes.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Say when each line was written.")] = False,
    tail: Annotated[int, typer.Option(min=-1, help="Only the last lines; -1 is all.")] = -1,
    cluster: ClusterName = None,
) -> None:
    """Print what a container wrote.

    Example: sudo fabric logs pod-1 -f
    """
    need_root("logs")
    paths = choose_by_option(cluster)
    found = lookup.need_pod(paths, pod, namespace)
    folder = lookup.log_folder(paths, found, lookup.container_name(found, container))
    if not folder.is_dir() and not follow:
        raise FabricError(f"container of pod {pod} has not been started yet: no logs; see fabric status")

    def ended() -> bool:
        try:
            now = lookup.need_pod(paths, pod, namespace)
        except FabricError:
            return True
        return (now.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    _print(folder, ended, follow=follow, timestamps=timestamps, tail=tail)


def _print(folder: Path, ended: Callable[[], bool], *, follow: bool, timestamps: bool, tail: int) -> None:
    entries: Iterable[container_logs.Entry] = container_logs.read(folder, follow=follow, ended=ended)
    if tail >= 0 and not follow:
        entries = deque(entries, maxlen=tail)
    for entry in entries:
        stamp = f"{entry.time} " if timestamps else ""
        print(f"{stamp}{entry.text}", end="\n" if entry.whole else "", flush=follow)
