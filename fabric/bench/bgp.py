"""`fabric bench bgp`: how long BGP takes to tell every node of every block, and what it costs.

A cluster of N nodes with one pod each (so that each has a block) is brought up, without encapsulation. Then
all BIRDs end, what they wrote into the kernels is taken out, and all of them start at once: the clock runs
from the last one's start until every node's kernel has a route to every other node's block. After that a node
is killed, and the clock runs until no other node has a route to its block; and if asked for the same again
with its cable pulled, so that only the hold time tells.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fabric.bench import clusters
from fabric.bench.bgp_run import BgpRun, Converged
from fabric.bench.clusters import Say
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import all_connections
from fabric.errors import plural

Shape = Literal["mesh", "reflectors"]
SHAPES: tuple[Shape, Shape] = ("mesh", "reflectors")
REFLECTORS = 2
HOLD_SECONDS = 240
"""BIRD's hold time, where no keepalive time is given."""
KEEPALIVES = 3
"""Of them may be lost before a peer is taken for dead."""
UP_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class BgpTimes:
    """The times of one size and shape of cluster, as medians over the runs."""

    nodes: int
    shape: Shape
    runs: int
    sessions: int
    converged_seconds: float
    """From the last BIRD's start until every node's kernel has every block."""
    cpu_seconds: float
    """Of all BIRDs together, from their start until then."""
    pss_mib: float
    """Of all BIRDs together, then."""
    killed_seconds: float
    """From the kill of a node until no other has a route to its block."""
    silent_seconds: float | None
    """The same from the moment its cable was pulled; None where that was not asked for."""
    hold_seconds: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    nodes: int, shape: Shape, *, runs: int, silent: bool, keepalive_seconds: int, tune: bool, say: Say
) -> BgpTimes:
    """Bring the cluster up, measure it `runs` times, take it down.

    FabricError when it does not come up, or does not converge. `keepalive_seconds` 0 is BIRD's own.
    """
    name = clusters.fresh_name()
    say(f"{plural(nodes, 'node')}, {shape}: up")
    options = ("--no-check", "--timeout", str(UP_SECONDS_MAX), *(["--tune"] if tune else []))
    with clusters.running(topology(name, nodes, shape, keepalive_seconds), *options, say=say):
        hold = KEEPALIVES * keepalive_seconds or HOLD_SECONDS
        return asyncio.run(_measure(ClusterPaths(name), nodes, shape, runs, hold, silent, say))


async def _measure(
    paths: ClusterPaths, nodes: int, shape: Shape, runs: int, hold: int, silent: bool, say: Say
) -> BgpTimes:
    spec = need_spec(paths)
    async with AsyncExitStack() as stack:
        run = BgpRun(paths, spec, await stack.enter_async_context(all_connections(paths, spec.workers)))
        await run.until_ready()
        converged: list[Converged] = []
        killed: list[float] = []
        for number in range(1, runs + 1):
            say(f"{plural(nodes, 'node')}, {shape}: run {number}/{runs}")
            converged.append(await run.start_all())
            killed.append(await run.kill(f"node-{nodes}"))
            await run.until_ready()
        silence = None
        if silent:
            say(f"{plural(nodes, 'node')}, {shape}: silence, {hold} s")
            silence = round(await run.silence(f"node-{nodes}", hold), 3)
        return BgpTimes(
            nodes=nodes,
            shape=shape,
            runs=runs,
            sessions=max(it.sessions for it in converged),
            converged_seconds=_median(it.seconds for it in converged),
            cpu_seconds=_median(it.cpu_seconds for it in converged),
            pss_mib=_median(it.pss_mib for it in converged),
            killed_seconds=_median(iter(killed)),
            silent_seconds=silence,
            hold_seconds=hold,
        )


def topology(name: str, nodes: int, shape: Shape, keepalive_seconds: int = 0) -> dict[str, Any]:
    """The cluster, as a topology file's value: a dead node's routes go as soon as its sessions do."""
    reflect = "route-reflector == 'true'"
    asked: dict[str, Any] = {"maxRestartTime": "0s"}
    if keepalive_seconds:
        asked["keepaliveTime"] = f"{keepalive_seconds}s"
    peers: list[dict[str, Any]] = []
    if shape == "reflectors":
        peers = [_resource("BGPPeer", "reflectors", nodeSelector="all()", peerSelector=reflect, **asked)]
    elif keepalive_seconds:
        # The mesh has no keepalive time of its own; the same sessions from a BGPPeer have.
        peers = [_resource("BGPPeer", "everybody", peerSelector="all()", **asked)]
    by_mesh = shape == "mesh" and not keepalive_seconds
    restarts = {"nodeMeshMaxRestartTime": "0s"} if by_mesh else {}
    configuration = _resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=by_mesh, **restarts)
    rules = [{"nodeSelector": reflect, "routeReflectorClusterID": "244.0.0.1"}]
    options = {"ipipMode": "Never", "vxlanMode": "Never", "resources": [configuration, *peers]}
    return clusters.topology(
        name,
        nodes=[_node(number, shape) for number in range(1, nodes + 1)],
        network={
            "plugin": "calico",
            "options": options | ({"nodes": rules} if shape == "reflectors" else {}),
        },
        manifests=[_pod(number) for number in range(1, nodes + 1)],
    )


def _node(number: int, shape: Shape) -> dict[str, Any]:
    reflects = shape == "reflectors" and number <= REFLECTORS
    return {"name": f"node-{number}", "labels": {"route-reflector": "true"} if reflects else {}}


def _pod(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": f"node-{number}"},
            "containers": [{"name": "pause", "image": "pause"}],
        },
    }


def _resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}}
    return head | {"spec": spec}


def _median(values: Any) -> float:
    return round(float(statistics.median(values)), 3)
