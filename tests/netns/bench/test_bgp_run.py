"""The measurements of `bench bgp` on kernels whose routes the test writes, as BIRD would."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import namespaces, run_inside

from fabric.bench import bgp_run
from fabric.bench.bgp_run import BgpRun
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.errors import FabricError
from fabric.kernel.routes import main_table
from fabric.topology.load import loads

NODES = ("node-1", "node-2", "node-3")
THREE_NODES = (
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 3, network: {plugin: calico}}\n"
)


class Machines:
    """A runtime of three nodes, which are namespaces; `off` has those that are not powered on."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.off: set[str] = set()

    async def nodes(self) -> dict[str, int]:
        """All hosts of the runtime; the switch is one, too, and no node."""
        on = {node: pid for node, pid in self.pids.items() if node not in self.off}
        return on | {"switch": os.getpid()}


@pytest.fixture
def machines() -> Iterator[Machines]:
    with namespaces(*NODES) as pids:
        for pid in pids.values():
            run_inside(pid, "ip", "link", "set", "lo", "up")
        yield Machines(pids)


@pytest.fixture
def run(machines: Machines) -> BgpRun:
    runtimes: Any = [machines]
    spec = specs.choose(loads(THREE_NODES, Path("t.yaml")), None, api_port=6443, workers=1)
    return BgpRun(ClusterPaths("t"), spec, runtimes)


def block(node: str) -> str:
    return f"10.244.{node[-1]}.0/26"


def own(node: str) -> str:
    return f"route add blackhole {block(node)} proto bird"


def way(node: str) -> str:
    return f"route add {block(node)} dev lo proto bird"


def routes(machines: Machines, node: str, *lines: str) -> None:
    argv = ["nsenter", "-t", str(machines.pids[node]), "-n", "ip", "-batch", "-"]
    subprocess.run(argv, input="\n".join(lines), text=True, check=True, capture_output=True)


def converged(machines: Machines) -> None:
    """Write what BIRDs would: each node's own block, and a way to every other node's."""
    for node in NODES:
        routes(machines, node, own(node), *(way(other) for other in NODES if other != node))


async def test_a_cluster_is_ready_when_every_node_has_a_way_to_every_other_nodes_block(machines, run):
    converged(machines)
    began = time.monotonic()
    await run.until_ready()
    assert time.monotonic() - began < bgp_run.ASK_AGAIN_SECONDS, "nobody waits for what is there"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({node: [own(node)] for node in NODES}, "routes are missing"),
        ({"node-1": [own("node-1")], "node-3": [own("node-3")]}, "no block on node-2"),
        (
            {"node-1": [f"route add blackhole {block('node-1')} proto static"]},
            "no block on node-1, node-2, node-3",
        ),
    ],
    ids=["ways", "block", "static"],
)
async def test_what_a_cluster_lacks_is_told_when_time_is_over(machines, run, monkeypatch, written, why):
    monkeypatch.setattr(bgp_run, "READY_SECONDS_MAX", 0.3)
    for node, lines in written.items():
        routes(machines, node, *lines)
    with pytest.raises(FabricError, match=f"^the cluster is not ready after 0 s: {why}$"):
        await run.until_ready()


async def test_a_node_that_is_off_is_waited_for(machines, run, monkeypatch):
    monkeypatch.setattr(bgp_run, "ASK_AGAIN_SECONDS", 0.05)
    converged(machines)
    machines.off.add("node-2")
    waiting = asyncio.create_task(run.until_ready())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    machines.off.clear()
    await asyncio.wait_for(waiting, 60)


async def test_a_killed_node_is_forgotten_when_the_last_of_the_others_has_no_way_to_it(machines, run):
    converged(machines)
    await run.until_ready()
    killing = asyncio.create_task(run.kill("node-3"))
    await asyncio.to_thread(os.waitid, os.P_PID, machines.pids["node-3"], os.WEXITED | os.WNOWAIT)
    routes(machines, "node-1", f"route del {block('node-3')}")
    await asyncio.sleep(0.3)
    assert not killing.done(), "node-2 still has a way"
    routes(machines, "node-2", f"route del {block('node-3')}")
    assert 0.3 <= await asyncio.wait_for(killing, 60) < 60


async def test_a_way_that_stays_after_a_kill_is_an_error_that_names_the_node(machines, run, monkeypatch):
    monkeypatch.setattr(bgp_run, "KILLED_SECONDS_MAX", 0.3)
    converged(machines)
    await run.until_ready()
    with pytest.raises(FabricError, match=r"^routes to node-3 are still there after 0 s$"):
        await run.kill("node-3")


async def test_before_a_start_only_what_bird_wrote_is_taken_out(machines, run):
    converged(machines)
    routes(machines, "node-1", "route add 10.99.0.0/16 dev lo proto static")
    await run._flush(machines.pids)
    left = {node: {it.dst for it in main_table(pid)} for node, pid in machines.pids.items()}
    assert left == {"node-1": {ip_network("10.99.0.0/16")}, "node-2": set(), "node-3": set()}


def test_the_start_of_a_process_is_told_by_the_clock_of_the_measurement():
    before = time.monotonic()
    with subprocess.Popen(["sleep", "60"]) as process:
        after = time.monotonic()
        found = bgp_run._started(process.pid)
        process.kill()
    assert before - 0.02 <= found <= after + 0.02
