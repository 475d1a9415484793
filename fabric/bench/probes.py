"""`fabric bench probes`: the probes that one thread sends and hears in a second, from every pod to every pod.

Every job is one try at least, from a socket of its own; the servers and the path share the machine.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fabric.bench import clusters
from fabric.bench.clusters import Say
from fabric.bench.up import topology
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.errors import plural
from fabric.verify.probed_matrix import Endpoint, endpoints
from fabric.verify.probes import Answer, Job, Outcome, Protocol
from fabric.verify.probing import ask_all

PORT, CLOSED = 80, 81
CASES: tuple[tuple[Protocol, int], ...] = (("tcp", PORT), ("udp", PORT), ("icmp", 0), ("tcp", CLOSED))
_PORTS = [{"containerPort": PORT, "protocol": protocol} for protocol in ("TCP", "UDP")]


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """The jobs of one protocol, and what they took."""

    plugin: str
    nodes: int
    pods: int
    protocol: str
    port: int
    jobs: int
    expected: int
    """Jobs with the right outcome: delivered, or refused where nobody serves the port."""
    per_second: float
    """Jobs a second; the median of all rounds."""
    cpu_microseconds: float
    """Processor time of this process for one job: its own, and the kernel's on its behalf."""
    median_microseconds: float
    """From a try to its answer."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(plugin: str, nodes: int, pods: int, jobs: int, rounds: int, say: Say) -> list[ProbeTimes]:
    """Bring a cluster up whose pods serve a port, ask about that many jobs of each kind, take it down."""
    name = clusters.fresh_name()
    what = f"{plugin}, {plural(nodes, 'node')}, {plural(pods, 'pod')}"
    say(f"{what}: up")
    value = topology(name, nodes, pods, {"plugin": plugin})
    for each in value["spec"]["manifests"]:
        each["spec"]["containers"] = [{"name": "echo", "image": "echo", "ports": _PORTS}]
    found = []
    with clusters.running(value, "--tune", say=say):
        paths = ClusterPaths(name)
        known = asyncio.run(endpoints(paths, need_spec(paths)))
        ends = [it for it in known if it.name.startswith("default/")]
        for protocol, port in CASES:
            say(f"{what}: {protocol} {port or ''}".rstrip())
            found.append(_case((plugin, nodes, pods), ends, protocol, port, jobs, rounds))
    return found


def _case(
    cluster: tuple[str, int, int],
    ends: Sequence[Endpoint],
    protocol: Protocol,
    port: int,
    count: int,
    rounds: int,
) -> ProbeTimes:
    pairs = [(a.name, b.address(4) or "") for b in ends for a in ends]
    jobs = [Job(*pairs[number % len(pairs)], protocol, port) for number in range(count)]
    pids = {it.name: it.pid for it in ends}
    rates: list[float] = []
    answers: list[Answer] = []
    spent = time.process_time()
    for _ in range(rounds):
        began = time.monotonic()
        answers += ask_all(pids, jobs)
        rates.append(len(jobs) / (time.monotonic() - began))
    spent = time.process_time() - spent
    wanted = Outcome.refused if port == CLOSED else Outcome.delivered
    return ProbeTimes(
        *cluster,
        protocol,
        port,
        len(jobs),
        sum(it.outcome is wanted for it in answers) // rounds,
        round(statistics.median(rates), 1),
        round(1e6 * spent / len(answers), 1),
        statistics.median(it.microseconds for it in answers),
    )
