"""Commands that plugins bring: fabric finds the cluster and hands over streams; the rest is the command's.

`fabric NAME --install [DIR]` writes a launcher, so that the command is called by its own name. Which
cluster it works on is decided in `choice`, as for fabric's own commands.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from fabric.cli import output
from fabric.cli.choice import CLUSTER_VARIABLE, choose_by_option, need_root
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.control.clock import LoopClock
from fabric.control.framed import FramedClient
from fabric.errors import BadInput, FabricError, Problem
from fabric.plugin import commands
from fabric.plugin.commands import Cluster, CommandContext
from fabric.store.remote import RemoteStore

LAUNCHER_FOLDER = Path("/usr/local/bin")
_MARK = "# Written by fabric: "

_UNPARSED = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


def installed() -> tuple[str, ...]:
    """Names of the commands that plugins bring."""
    return commands.installed()


def register(app: typer.Typer, name: str) -> None:
    """Hang the plugin's command below the root."""
    command = commands.load(name)

    def offered(context: typer.Context, incomplete: str) -> list[str]:
        words = _cluster_option(tuple(context.params.get("arguments") or ()))[1]
        return [word for word in command.complete(words, incomplete) if word.startswith(incomplete)]

    words = typer.Argument(None, help="What the command is told.", autocompletion=offered)

    def run(arguments: list[str] | None = words) -> None:
        _run(name, command, tuple(arguments or ()))

    app.command(name, help=_help(name, command), context_settings=_UNPARSED, add_help_option=False)(run)


def _help(name: str, command: commands.Command) -> str:
    return f"""{command.summary}

    The only running cluster is meant, or the one that {CLUSTER_VARIABLE} names, or the one behind --cluster,
    which stands before everything else. --install [DIR] writes a launcher {name} to DIR ({LAUNCHER_FOLDER}).

    Example: sudo fabric {name} {command.example}

    Example: sudo fabric {name} --install
    """


def _run(name: str, command: commands.Command, words: tuple[str, ...]) -> None:
    if words[:1] == ("--install",):
        output.emit(install(name, words[1:]))
        return
    cluster, argv = _cluster_option(words)
    raise typer.Exit(asyncio.run(_run_in(name, command, cluster, argv)))


async def _run_in(name: str, command: commands.Command, cluster: str | None, argv: tuple[str, ...]) -> int:
    opened: list[Cluster] = []

    def open_cluster() -> Cluster:
        if not opened:
            need_root(name)
            opened.append(_opened(choose_by_option(cluster)))
        return opened[0]

    context = CommandContext(argv, sys.stdin, sys.stdout, sys.stderr, LoopClock(), open_cluster)
    try:
        return await command.run(context)
    finally:
        for each in opened:
            await each.store.close()
            await each.client.close()


def _cluster_option(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Take `--cluster NAME` off the front."""
    if words and words[0].startswith("--cluster="):
        return words[0].removeprefix("--cluster="), words[1:]
    if words[:1] == ("--cluster",):
        if len(words) < 2:
            raise BadInput(Problem("--cluster", "name the cluster behind it"))
        return words[1], words[2:]
    return None, words


def _opened(paths: ClusterPaths) -> Cluster:
    if not paths.spec.exists():
        raise FabricError(f"cluster {paths.cluster} is not up; see fabric list")
    network = specs.current(paths).network
    return Cluster(
        name=paths.cluster,
        plugin=network.plugin,
        config=network.config(),
        store=RemoteStore(paths.store_socket),
        client=FramedClient(paths.components_socket),
        folders=paths.node,
    )


def install(name: str, words: Sequence[str]) -> str:
    """Write a launcher to the folder in `words`, and say where; refuses to replace a stranger's file."""
    if len(words) > 1:
        raise BadInput(Problem("--install", "one folder at most"))
    path = Path(words[0] if words else LAUNCHER_FOLDER) / name
    if not os.path.isdir(path.parent):  # noqa: PTH112, Path's raises at a name that Linux does not take
        raise BadInput(Problem("--install", f"no folder {path.parent}"))
    try:
        if path.exists() and _MARK not in path.read_text(errors="replace"):
            raise FabricError(f"{path} is there and is not fabric's: remove it, or choose another folder")
        _put(path, _launcher(name))
    except OSError as error:
        raise FabricError(
            f"cannot write {path}: {error.strerror}; choose another folder, or use sudo"
        ) from None
    return f"{path} runs fabric {name}"


def _put(path: Path, text: str) -> None:
    """Write a program; whoever starts it meanwhile has the old one or the new one, whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _launcher(name: str) -> str:
    python = shlex.quote(sys.executable)
    return f'#!/bin/sh\n{_MARK}fabric {name} --install\nexec {python} -P -m fabric {name} "$@"\n'
