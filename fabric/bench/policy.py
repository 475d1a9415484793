"""`fabric bench policy`: the time from a request to the API until every node's kernel enforces it.

The cluster has a target on each node, one client, and pods with policies that are not touched. The client
sends echo requests to all targets without a pause, each a new flow; a change is enforced when the first of
them is sent that meets it, on the last of the nodes. Packets tell what no reading of rules and sets can: that
the kernel uses them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from fabric.api import kinds
from fabric.bench import clusters, cpu
from fabric.bench import up as ups
from fabric.bench.clusters import Say
from fabric.bench.policy_objects import objects
from fabric.bench.policy_steps import CLIENT, CLIENTS, POLICY, STEPS, TARGET, Step
from fabric.cluster import component_records
from fabric.cluster.cgroup import ClusterCgroup
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.control.framed import FramedClient
from fabric.errors import FabricError, NotFound, plural
from fabric.verify.probed_matrix import endpoints
from fabric.verify.probes import Job, Outcome, Patience
from fabric.verify.probing import ContinuousProbe, Tally

PROBES_A_SECOND = 200
"""To each target: what the times are exact to is the pause between two, 5 ms."""
PATIENCE = Patience(seconds=0.25, tries=1)
ENFORCED_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.005
REST_SECONDS = 0.5
"""Between two changes: longer than a probe waits for its answer."""
UP_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class PolicyTimes:
    """The times of one kind of change, in milliseconds."""

    plugin: str
    nodes: int
    pods: int
    policies: int
    change: str
    changes: int
    p50_milliseconds: float
    """From the request until the last node enforces it: the API's own time is in it."""
    p99_milliseconds: float
    max_milliseconds: float
    cpu_milliseconds: Mapping[str, float]
    """Processor time for one change by component, with what the component does at rest meanwhile."""
    idle_percent: float
    """Of one processor, for each node, while nothing changes and nobody probes."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Enforced:
    """The outcome of one change."""

    milliseconds: float
    cpu_seconds: Mapping[str, float]


def measure(
    plugin: str, nodes: int, pods: int, policies: int, rounds: int, seconds: float, say: Say
) -> list[PolicyTimes]:
    """Bring the cluster up, go through all steps `rounds` times, take it down.

    FabricError when a change is not enforced in time. `seconds` is how long the cluster is watched at rest.
    """
    what = f"{plugin}, {plural(nodes, 'node')}, {plural(pods, 'pod')}, {policies} policies"
    say(f"{what}: up")
    name = clusters.fresh_name()
    with clusters.running(
        topology(name, plugin, nodes, pods, policies),
        "--no-check",
        "--tune",
        "--timeout",
        str(UP_SECONDS_MAX),
        say=say,
    ):
        paths = ClusterPaths(name)
        found = asyncio.run(_measure(paths, nodes, rounds, say))
        say(f"at rest for {seconds:g} s")
        idle = _idle_percent(ClusterCgroup(name), seconds) / nodes
    return [
        summary((plugin, nodes, pods, policies), change, times, round(idle, 3))
        for change, times in found.items()
    ]


def summary(
    cluster: tuple[str, int, int, int], change: str, times: Sequence[Enforced], idle_percent: float
) -> PolicyTimes:
    """Return the percentiles over all changes of a kind."""
    taken = sorted(it.milliseconds for it in times)
    names = dict.fromkeys(name for it in times for name in it.cpu_seconds)
    spent = {
        name: round(1000 * statistics.median(it.cpu_seconds.get(name, 0.0) for it in times), 2)
        for name in names
    }
    return PolicyTimes(
        *cluster,
        change,
        len(times),
        round(statistics.median(taken), 1),
        round(taken[-(-len(taken) * 99 // 100) - 1], 1),
        round(taken[-1], 1),
        dict(sorted(spent.items(), key=lambda entry: -entry[1])),
        idle_percent,
    )


async def _measure(paths: ClusterPaths, nodes: int, rounds: int, say: Say) -> dict[str, list[Enforced]]:
    known = {it.name: it for it in await endpoints(paths, need_spec(paths))}
    source = known[f"{CLIENTS}/{CLIENT}"]
    targets = [known[f"default/{TARGET}-{number}"] for number in range(1, nodes + 1)]
    jobs = [Job(source.name, it.address(4) or "", "icmp") for it in targets]
    client = FramedClient(paths.components_socket)
    found: dict[str, list[Enforced]] = defaultdict(list)
    rate = PROBES_A_SECOND * len(jobs)
    try:
        with ContinuousProbe({source.name: source.pid}, jobs, rate=rate, patience=PATIENCE) as probe:
            run = _Run(paths, client, [probe.tallies[job] for job in jobs])
            await run.until(Outcome.delivered, "nothing")
            for number in range(1, rounds + 1):
                say(f"round {number}/{rounds}")
                for step in STEPS:
                    found[step.change].append(await run.take(step))
    finally:
        with suppress(NotFound):
            await client.delete(kinds.NETWORK_POLICY, POLICY, "default")
        await client.close()
    return found


class _Run:
    """The steps on a cluster whose targets are probed."""

    def __init__(self, paths: ClusterPaths, client: FramedClient, tallies: Sequence[Tally]) -> None:
        self._paths = paths
        self._client = client
        self._tallies = tallies

    async def take(self, step: Step) -> Enforced:
        """Make the change, and wait until every target is as it says."""
        await asyncio.sleep(REST_SECONDS)
        before, asked = self._spent(), time.monotonic()
        await step.make(self._client)
        outcome = Outcome.delivered if step.opens else Outcome.timeout
        await self.until(outcome, step.change)
        spent = {name: now - before.get(name, 0.0) for name, now in self._spent().items()}
        # A probe that the machine lost is a change too: what counts is the last.
        last = max(tally.changes[-1].sent_at for tally in self._tallies)
        return Enforced(1000 * (last - asked), spent)

    async def until(self, outcome: Outcome, change: str) -> None:
        """Wait until the newest answer of every target is this; FabricError when that does not come."""
        try:
            async with asyncio.timeout(ENFORCED_SECONDS_MAX):
                while any(tally.last is not outcome for tally in self._tallies):  # noqa: ASYNC110, a thread's
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            lacking = sum(tally.last is not outcome for tally in self._tallies)
            raise FabricError(
                f"{ENFORCED_SECONDS_MAX:.0f} s after {change}: {plural(lacking, 'node')} without it"
            ) from None

    def _spent(self) -> dict[str, float]:
        records = component_records.read_all(self._paths)
        pids = [record.pid for record in records.values()]
        return cpu.by_component(pids, {name: record.pid for name, record in records.items()})


def _idle_percent(group: ClusterCgroup, seconds: float) -> float:
    time.sleep(REST_SECONDS)
    began, spent = time.monotonic(), group.cpu_seconds()
    time.sleep(seconds)
    return 100 * (group.cpu_seconds() - spent) / (time.monotonic() - began)


def topology(name: str, plugin: str, nodes: int, pods: int, policies: int) -> dict[str, Any]:
    """The cluster, as a topology file's value: pods with the targets and the client among them."""
    value = ups.topology(name, nodes, pods, {"plugin": plugin})
    value["spec"]["manifests"] = [*objects(nodes, pods, policies)]
    return value
