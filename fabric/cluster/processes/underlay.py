"""The underlay process: hosts are on, and wired as the spec says.

It powers hosts on through the runtimes and runs one NetLoop per host: the switch's makes the bridge and
both ends of every wire, a host's gives its own end an address and a default route.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from fabric.cluster import follow, loops
from fabric.cluster.hosts import Hosts
from fabric.cluster.places import Places
from fabric.cluster.spec import ClusterSpec
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.runtime_client import RuntimeClient
from fabric.netstate.objects import NetState
from fabric.topology import underlay

LOOK_SECONDS, RETRY_SECONDS = 1.0, 0.03
"""How long a host may be dead before it is noticed; how soon a runtime that is away is asked again."""

WIRING_SECONDS, WIRING_TRIES = 0.005, 400

_log = logging.getLogger(__name__)


def run(places: Places) -> None:
    loops.run(_run(places))


async def _run(places: Places) -> None:
    await UnderlayProcess(places).run()


class UnderlayProcess:
    """Hosts and wires of one cluster."""

    def __init__(self, places: Places) -> None:
        self._places = places
        workers = follow.current(places).workers
        self._runtimes = [RuntimeClient(places.runtime_socket(index)) for index in range(workers)]
        self._hosts = Hosts(places, self._runtimes)
        self._kernel = LinuxKernel(self._hosts.pids)
        self._loops: dict[str, tuple[NetLoop, asyncio.Task[None]]] = {}
        self._look = asyncio.Event()
        self._said = ""

    async def run(self) -> None:
        """Reconcile at every change of the spec, whenever a process of a host ended, and every second."""
        async with asyncio.TaskGroup() as tasks:
            spec_of = Newest(self._places)
            for runtime in self._runtimes:
                tasks.create_task(runtime.run())
            tasks.create_task(spec_of.run(self._look))
            while True:
                self._look.clear()
                wait = LOOK_SECONDS
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

    def _say(self, trouble: str) -> None:
        """Log a trouble once, however often it is met in a row."""
        if trouble != self._said:
            _log.info("%s (asking again every %.2f s)", trouble, RETRY_SECONDS)
            self._said = trouble

    async def _reconcile(self, spec: ClusterSpec, tasks: asyncio.TaskGroup) -> None:
        fresh = await self._hosts.reconcile(spec)
        desired = desired_states(spec)
        for name in set(self._loops) - set(desired):
            self._loops.pop(name)[1].cancel()
        for name, state in desired.items():
            if name not in self._loops:
                loop = NetLoop(self._kernel.host(name), underlay.owner())
                self._loops[name] = (loop, tasks.create_task(loop.run(), name=loop.name))
            self._loops[name][0].want(state)
            if fresh and name == underlay.SWITCH:
                await self._wired()
        for name in fresh:
            self._loops[name][0].poke()

    async def _wired(self) -> None:
        """Let the switch make its wires before the hosts at their other ends look for them."""
        loop = self._loops[underlay.SWITCH][0]
        loop.poke()
        for _ in range(WIRING_TRIES):
            await asyncio.sleep(WIRING_SECONDS)
            if loop.settled or loop.last_error:
                return


class Newest:
    """The newest spec, kept up to date by a task of its own."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.spec: ClusterSpec | None = None

    async def run(self, changed: asyncio.Event) -> None:
        async for spec in follow.changes(self._places):
            self.spec = spec
            changed.set()


def desired_states(spec: ClusterSpec) -> dict[str, NetState]:
    """What the underlay wants in every host's namespace."""
    hosts = [underlay.CONTROL_PLANE, *(node.name for node in spec.nodes)]
    return {
        underlay.SWITCH: underlay.switch_state(spec.underlay, hosts),
        underlay.CONTROL_PLANE: underlay.host_state(spec.underlay, underlay.control_plane(spec.underlay)),
    } | {node.name: underlay.host_state(spec.underlay, node.interface) for node in spec.nodes}
