"""Commands that plugins bring: `fabric calicoctl …`, found by the entry point `fabric.commands`.

Everything behind the command's name is the command's own: fabric parses none of it, and hands it streams.
Only fabric's command line prints and exits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, TextIO

from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.errors import FabricError
from fabric.plugin.contract import NetworkConfig
from fabric.store.port import Store

GROUP = "fabric.commands"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The running cluster that a command works on."""

    name: str
    plugin: str
    """Name of its network plugin."""
    config: NetworkConfig
    store: Store
    client: Client
    folders: Callable[[str], Path]
    """Node → its private files as the host sees them: `folders("node-1") / "run/calico"`."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The context of a command: all that it may use."""

    argv: tuple[str, ...]
    """The words behind the command's name."""
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    clock: Clock
    cluster: Callable[[], Cluster]
    """The cluster that the user means; asked for by what needs one. FabricError when there is none, or
    several and none is named (BadInput)."""


class Command(Protocol):
    """A command that a plugin brings."""

    @property
    def summary(self) -> str:
        """A sentence for fabric's own help."""
        ...

    @property
    def example(self) -> str:
        """Words that may stand behind the command's name: `get nodes -o wide`."""
        ...

    def complete(self, words: Sequence[str], incomplete: str) -> Sequence[str]:
        """The words that a shell may offer behind these for what is typed so far; needs no cluster."""
        ...

    async def run(self, context: CommandContext) -> int:
        """Do it, and return the exit code. BadInput is shown by fabric; the command tells all else itself."""
        ...


def installed() -> tuple[str, ...]:
    """Names of all installed commands, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> Command:
    """Return the command of that name; FabricError names those that are installed."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            command: Command = point.load()()
            return command
    known = ", ".join(installed()) or "none"
    raise FabricError(f"command {name!r} is not installed (installed: {known}); pip install its plugin first")
