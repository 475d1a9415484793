"""A session is a run of calicoctl: it knows where to print, and the cluster it works on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from calico.calicoctl.arguments import Arguments, Usage
from calico.calicoctl.resource_client import ResourceClient
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from fabric.errors import FabricError
from fabric.plugin.commands import Cluster, CommandContext


class Refused(FabricError):
    """The command has told what it could do, and this is what it could not: exit code 1."""


class Session:
    """The output and the cluster that subcommands share."""

    def __init__(self, context: CommandContext) -> None:
        self.context = context

    def say(self, text: str = "") -> None:
        """Print a line."""
        self.context.stdout.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Print text that has its line ends."""
        self.context.stdout.write(text)

    async def cluster(self) -> Cluster:
        """The cluster; Refused when there is no Calico in it."""
        cluster = self.context.cluster()
        if await datastore.get(cluster.store, ClusterInformation, "default") is None:
            raise Refused(
                f"cluster {cluster.name} has no Calico datastore: its network plugin is {cluster.plugin}"
            )
        return cluster

    async def resources(self) -> ResourceClient:
        """The way to the cluster's resources."""
        return ResourceClient(await self.cluster(), self.context.clock, self._warn)

    def _warn(self, text: str) -> None:
        self.context.stderr.write(f"Warning: {text}\n")


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand: its usage and its action."""

    usage: Usage
    run: Callable[[Session, Arguments], Awaitable[None]]
    """Prints what it did; FabricError is what it could not do."""
