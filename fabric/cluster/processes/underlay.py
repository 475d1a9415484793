"""The underlay process: hosts are on, and wired as the spec says.

It powers hosts on through the runtimes and runs one NetLoop per host. Those of switches and routers make the
wires, both ends at once; a host's gives its own end an address and a default route. Every router has a BIRD.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.processes import event_loop
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.hosts import Hosts
from fabric.cluster.underlay.routers import Routers
from fabric.cluster.underlay.state import Underlay
from fabric.control.backoff import jittered
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.kernel.linux import LinuxKernel
from fabric.runtime.client import RuntimeClient
from fabric.runtime.wire import concerns_nodes
from fabric.topology.underlay import CONTROL_PLANE

LOOK_SECONDS, RETRY_SECONDS = 30.0, 0.03
"""How often all is looked at though nothing was told; how soon a runtime that is away is asked again."""
WIRING_SECONDS, WIRING_TRIES = 0.005, 400

_log = logging.getLogger(__name__)


def run(paths: ClusterPaths) -> None:
    event_loop.run(_run(paths))


async def _run(paths: ClusterPaths) -> None:
    await UnderlayProcess(paths).run()


class UnderlayProcess:
    """The process that keeps hosts and wires of one cluster."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths
        workers = specs.current(paths).workers
        self._runtimes = [RuntimeClient(paths.runtime_socket(index)) for index in range(workers)]
        self._hosts = Hosts(paths, self._runtimes)
        self._kernel = LinuxKernel(self._hosts.pids)
        self._loops: dict[str, tuple[NetLoop, asyncio.Task[None]]] = {}
        self._routers = Routers(paths, self._runtimes)
        self._underlay: Underlay | None = None
        self._wired_for: ClusterSpec | None = None
        self._look = asyncio.Event()
        self._said = ""

    async def run(self) -> None:
        """Reconcile at every change of the spec, and whenever a host was started or has ended."""
        async with asyncio.TaskGroup() as tasks:
            spec_of = Newest(self._paths)
            for runtime in self._runtimes:
                tasks.create_task(runtime.run())
                tasks.create_task(self._listen(runtime))
            tasks.create_task(spec_of.run(self._look))
            while True:
                self._look.clear()
                wait = jittered(LOOK_SECONDS, 0.25)
                if spec_of.spec is not None:
                    try:
                        await self._reconcile(spec_of.spec, tasks)
                    except* FabricError as errors:
                        self._say(f"hosts: {errors.exceptions[0]}")
                        wait = RETRY_SECONDS
                    else:
                        self._said = ""
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._look.wait()

    async def _listen(self, runtime: RuntimeClient) -> None:
        async for event in runtime.events():
            if concerns_nodes(event):
                self._look.set()

    def _say(self, trouble: str) -> None:
        """Log a trouble once, however often it is met in a row."""
        if trouble != self._said:
            _log.info("%s (asking again every %.2f s)", trouble, RETRY_SECONDS)
            self._said = trouble

    async def _reconcile(self, spec: ClusterSpec, tasks: asyncio.TaskGroup) -> None:
        fresh = await self._hosts.reconcile(spec)
        if self._underlay is None or spec is not self._wired_for:
            self._underlay, self._wired_for = Underlay.of(spec), spec
        underlay = self._underlay
        for name in self._loops.keys() - underlay.states.keys():
            self._loops.pop(name)[1].cancel()
        touched = fresh | {it for name in fresh for it in underlay.wiring.neighbors(name)}
        # The control plane answers before a node asks for it: ARP would ask again only after a second.
        for turn in (*underlay.turns, (CONTROL_PLANE,)):
            self._want(underlay, turn, tasks)
            await self._wired(touched.intersection(turn))
        self._want(underlay, underlay.hosts, tasks)
        for name in touched.intersection(underlay.hosts) - {CONTROL_PLANE}:
            self._loops[name][0].trigger()
        self._routers.want(underlay.birds, spec.underlay.workers, tasks)
        self._routers.powered_on(fresh)

    def _want(self, underlay: Underlay, names: Iterable[str], tasks: asyncio.TaskGroup) -> None:
        for name in names:
            if name not in self._loops:
                loop = NetLoop(self._kernel.host(name), underlay.owner(name))
                self._loops[name] = (loop, tasks.create_task(loop.run(), name=loop.name))
            self._loops[name][0].want("underlay", underlay.states[name])

    async def _wired(self, names: Iterable[str]) -> None:
        """Let these be wired before others look for them.

        A refusal is waited out: devices of a namespace that just died are in the way for a moment.
        """
        loops = [self._loops[name][0] for name in names]
        for loop in loops:
            loop.trigger()
        for _ in range(WIRING_TRIES):
            if all(loop.is_converged for loop in loops):
                return
            await asyncio.sleep(WIRING_SECONDS)


class Newest:
    """The newest spec, kept up to date by a task of its own."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths
        self.spec: ClusterSpec | None = None

    async def run(self, changed: asyncio.Event) -> None:
        async for spec in specs.changes(self._paths):
            self.spec = spec
            changed.set()
