"""The measurements of `bench bgp` on a running cluster: starts of all BIRDs, a node's death, its silence."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fabric.bench import cpu
from fabric.bench.memory import pss_kib
from fabric.bench.route_watch import Has, RouteWatch
from fabric.bird.daemon import nudge
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import NodeDaemons
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay import links
from fabric.errors import FabricError
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.routes import main_table
from fabric.netstate.objects import IPNetwork, NetObject, Route
from fabric.netstate.plan import diff
from fabric.netstate.port import Owner
from fabric.plugin.contract import Program
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import DaemonStatus
from fabric.topology.underlay import SWITCH
from fabric.verify import bgp as sessions_of
from fabric.verify import birds
from fabric.verify.routes import BIRD_S

BIRD = "bird"
READY_SECONDS_MAX, CONVERGED_SECONDS_MAX, KILLED_SECONDS_MAX = 300.0, 300.0, 60.0
ASK_AGAIN_SECONDS = 0.5
_START_TIME = 19
"""Of the fields of /proc/<pid>/stat after the command's name."""


@dataclass(frozen=True, slots=True)
class Converged:
    """The outcome of one start of all BIRDs."""

    seconds: float
    sessions: int
    cpu_seconds: float
    pss_mib: float


class BgpRun:
    """The measurements on one cluster; `until_ready` comes first."""

    def __init__(self, paths: ClusterPaths, spec: ClusterSpec, runtimes: Sequence[RuntimeClient]) -> None:
        self._paths = paths
        self._spec = spec
        self._runtimes = runtimes
        self._workers = {node.name: node.worker for node in spec.nodes}
        self._own: Mapping[str, frozenset[IPNetwork]] = {}
        """Each node's blocks."""

    async def until_ready(self) -> None:
        """Wait until every node has a block, and every other node a route to it."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not await self._is_ready():
            if time.monotonic() > deadline:
                lacking = [node for node, blocks in self._own.items() if not blocks][:5]
                what = f"no block on {', '.join(lacking)}" if lacking else "routes are missing"
                raise FabricError(f"the cluster is not ready after {READY_SECONDS_MAX:.0f} s: {what}")
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def start_all(self) -> Converged:
        """End every BIRD, take its routes out of the kernel, start all: how long that takes, and its cost."""
        daemons = {it.node: it for it in await self._birds()}
        await asyncio.gather(*(self._runtime(node).stop_daemon(node, BIRD) for node in daemons))
        pids = await self._pids()
        await self._flush(pids)
        async with self._watching(pids) as watch:
            # The kernels are listened to from before the first start: what is read late is dated late.
            until = self._until(watch, self._has_all, set(daemons), CONVERGED_SECONDS_MAX)
            converging = asyncio.create_task(until)
            try:
                await asyncio.gather(*map(self._start, daemons.values()))
                clients = [bird.client for bird in birds.birds(self._paths, self._spec)]
                await asyncio.gather(*map(nudge, clients))
                ended = await converging
            finally:
                converging.cancel()
                await asyncio.gather(converging, return_exceptions=True)
        if ended is None:
            raise FabricError(f"routes are missing {CONVERGED_SECONDS_MAX:.0f} s after BIRD was started")
        running = [it.pid for it in await self._birds()]
        spent, pss = sum(map(cpu.seconds, running)), sum(map(pss_kib, running)) / 1024
        last = max(map(_started, running))
        return Converged(ended - last, await self._sessions(), spent, pss)

    async def kill(self, victim: str) -> float:
        """Kill a node: seconds until no other has a route to its blocks. It is started again by itself."""
        pids = dict(await self._pids())
        # Whoever holds a socket in its namespace keeps that alive: the victim is not watched.
        pid = pids.pop(victim)
        async with self._watching(pids) as watch:
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            return await self._gone(watch, victim, set(pids), began, KILLED_SECONDS_MAX)

    async def silence(self, victim: str, hold_seconds: int) -> float:
        """Pull a node's cable: seconds until no other has a route to its blocks. It is put back."""
        pids = dict(await self._pids())
        del pids[victim]
        async with self._watching(pids) as watch:
            links.change(self._paths, victim, SWITCH, 0, lambda it: replace(it, up=False))
            await links.applied(self._paths, (victim, SWITCH))
            began = time.monotonic()
            try:
                limit = hold_seconds + KILLED_SECONDS_MAX
                return await self._gone(watch, victim, set(pids), began, limit)
            finally:
                links.change(self._paths, victim, SWITCH, 0, lambda it: replace(it, up=True))

    async def _is_ready(self) -> bool:
        pids = await self._pids()
        if pids.keys() != self._workers.keys():
            return False
        try:
            tables = {node: await asyncio.to_thread(main_table, pid) for node, pid in pids.items()}
        except OSError:
            return False  # A node that was killed is not started again yet.
        self._own = {node: frozenset(_blocks(table)) for node, table in tables.items()}
        ways = {node: {it.dst for it in table if _is_way(it)} for node, table in tables.items()}
        return all(self._own.values()) and all(self._has_all(node, ways[node]) for node in pids)

    def _has_all(self, node: str, networks: set[IPNetwork]) -> bool:
        # Asked at every route that comes, on processors that are BIRD's: the number says no in no time.
        if len(networks) < len(self._own) - 1:
            return False
        return all(blocks <= networks for other, blocks in self._own.items() if other != node)

    async def _gone(
        self, watch: RouteWatch, victim: str, others: set[str], began: float, seconds_max: float
    ) -> float:
        blocks = self._own[victim]
        ended = await self._until(watch, lambda _, has: blocks.isdisjoint(has), others, seconds_max)
        if ended is None:
            raise FabricError(f"routes to {victim} are still there after {seconds_max:.0f} s")
        return ended - began

    async def _until(self, watch: RouteWatch, has: Has, hosts: set[str], seconds_max: float) -> float | None:
        """Wait in a thread, which ends with the wait, however that ends."""
        waiting = asyncio.create_task(
            asyncio.to_thread(watch.until, has, hosts=hosts, seconds_max=seconds_max)
        )
        try:
            return await asyncio.shield(waiting)
        finally:
            watch.give_up()
            await waiting

    @asynccontextmanager
    async def _watching(self, pids: Mapping[str, int]) -> AsyncIterator[RouteWatch]:
        watch = await asyncio.to_thread(RouteWatch, pids)
        try:
            yield watch
        finally:
            watch.close()

    async def _flush(self, pids: Mapping[str, int]) -> None:
        kernel = LinuxKernel(pids)
        owner = Owner(BIRD, frozenset({Route}), _is_birds)
        try:
            for node in pids:
                host = kernel.host(node)
                await host.apply(diff(frozenset(), await host.read(owner)))
        finally:
            kernel.close()

    async def _start(self, daemon: DaemonStatus) -> None:
        """Start BIRD as the node's agent does, so that the agent leaves it alone."""
        daemons = NodeDaemons(self._runtime(daemon.node), daemon.node, self._paths.node(daemon.node))
        await daemons.keep(Program(BIRD, daemon.argv, (*daemon.argv, "-R")))

    async def _birds(self) -> list[DaemonStatus]:
        found = [it for runtime in self._runtimes for it in await runtime.daemons()]
        return [it for it in found if it.name == BIRD and it.node in self._workers]

    async def _sessions(self) -> int:
        found = await sessions_of.sessions(self._paths, self._spec)
        return sum(it.is_established for it in found) // 2

    async def _pids(self) -> Mapping[str, int]:
        found = [await runtime.nodes() for runtime in self._runtimes]
        return {node: pid for pids in found for node, pid in pids.items() if node in self._workers}

    def _runtime(self, node: str) -> RuntimeClient:
        return self._runtimes[self._workers[node]]


def _is_birds(obj: NetObject) -> bool:
    return isinstance(obj, Route) and obj.proto == BIRD_S


def _is_way(route: Route) -> bool:
    return _is_birds(route) and route.type == "unicast"


def _blocks(table: Sequence[Route]) -> set[IPNetwork]:
    """A node's own blocks: what ends there."""
    return {it.dst for it in table if _is_birds(it) and it.type == "blackhole"}


def _started(pid: int) -> float:
    """The moment of a process' start, by the clock of time.monotonic; to a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    since_boot = int(fields[_START_TIME]) / os.sysconf("SC_CLK_TCK")
    return since_boot - time.clock_gettime(time.CLOCK_BOOTTIME) + time.monotonic()
