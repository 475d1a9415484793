"""The plan of `fabric up`: everything that it would do to Linux, namespace by namespace, as data."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from fabric.cluster import spec as specs
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.cluster.underlay.state import Underlay
from fabric.netstate.objects import NetState
from fabric.netstate.plan import Plan, diff
from fabric.plugin import registry
from fabric.topology.model import Topology


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A namespace that is made, and everything that is put into it."""

    name: str
    underlay: Plan
    network: Plan
    bird: str = ""
    """What the BGP daemon of a router reads."""

    def __str__(self) -> str:
        text = f"namespace {self.name}\n"
        for title, plan in (("underlay", self.underlay), ("network", self.network)):
            if plan:
                lines = str(plan).rstrip("\n").split("\n")
                text += f"  # {title}\n" + "".join(f"  {line}\n" for line in lines)
        if self.bird:
            text += "  # bird.conf\n" + indent(self.bird, "  ")
        return text


def plan(topology: Topology) -> list[HostPlan]:
    """Return the plans of all namespaces, switches and routers first.

    Pods are not in it: where they run is the scheduler's choice. Which subnet a node gets is guessed
    in order, where the plugin leaves it to chance.
    """
    spec = specs.choose(topology, None, api_port=0, workers=1)
    underlay = Underlay.of(spec)
    network = registry.load(spec.network.plugin).preview(spec.network.config(), spec.all_facts())
    nothing: NetState = frozenset()
    return [
        HostPlan(
            name,
            diff(underlay.states[name], nothing),
            diff(network.get(name, nothing), nothing),
            str(underlay.birds.get(name, "")),
        )
        for name in wanted_hosts(spec)
    ]
