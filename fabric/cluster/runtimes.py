"""Clients of a cluster's runtimes, which start its hosts, pods and daemons.

`connection` is for a command, `Shells` for callers without an event loop, `NamespaceRuntime` for a worker: it
knows a process in each network namespace. `NodeDaemons` starts what a network plugin runs on a node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fabric.cluster.paths import ClusterPaths
from fabric.errors import FabricError
from fabric.netstate.port import POD_PREFIX, pod_namespace
from fabric.plugin.contract import Program
from fabric.runtime.client import RuntimeClient
from fabric.runtime.client_exec import RemoteExec
from fabric.runtime.contract import DaemonSpec, ExecSession, Runtime, SandboxSpec, SandboxStatus
from fabric.runtime.wire import concerns_nodes

CONNECT_SECONDS_MAX = 5.0
RETRY_SECONDS = 0.1


@asynccontextmanager
async def connection(paths: ClusterPaths, worker: int) -> AsyncIterator[RuntimeClient]:
    """A connected client of that worker's runtime; FabricError when it does not answer in 5 s."""
    runtime = RuntimeClient(paths.runtime_socket(worker))
    running = asyncio.ensure_future(runtime.run())
    try:
        try:
            await asyncio.wait_for(runtime.connected(), CONNECT_SECONDS_MAX)
        except TimeoutError:
            raise FabricError(
                f"runtime-{worker} does not answer; see {paths.logs}/runtime-{worker}.log"
            ) from None
        yield runtime
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def all_connections(paths: ClusterPaths, workers: int) -> AsyncIterator[list[RuntimeClient]]:
    """Connected clients of all runtimes of the cluster."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connection(paths, index)) for index in range(workers)]


async def host_pids(paths: ClusterPaths, workers: int) -> dict[str, int]:
    """Pid of a process in each living host's namespaces, by host."""
    async with all_connections(paths, workers) as runtimes:
        answers = await asyncio.gather(*(runtime.nodes() for runtime in runtimes))
    return {host: pid for found in answers for host, pid in found.items()}


async def sandbox_pids(paths: ClusterPaths, workers: int) -> dict[str, int]:
    """Pid of the pause process of every living pod, by the pod's UID."""
    async with all_connections(paths, workers) as runtimes:
        found = [await runtime.sandboxes() for runtime in runtimes]
    return {sandbox.id: sandbox.pid for sandboxes in found for sandbox in sandboxes if sandbox.alive}


END_SECONDS_MAX = 1.0
KILLED = 128 + signal.SIGKILL


class Shell:
    """A program at a terminal, for a caller without an event loop."""

    def __init__(self, session: RemoteExec, terminal: int) -> None:
        self.terminal = terminal
        """The master end."""
        self._session = session

    def end(self) -> int:
        """Return its exit code; one that still runs after a second is killed."""
        try:
            return asyncio.run(asyncio.wait_for(self._session.wait(), END_SECONDS_MAX))
        except (FabricError, TimeoutError):
            return KILLED
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it, which kills it."""
        self._session.close()
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1


class Shells:
    """The shells that a command has open, each by a connection of its own, whose end is the shell's end."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths
        self._shells: list[Shell] = []

    def on_host(self, worker: int, host: str, argv: Sequence[str]) -> Shell:
        """Start a program in all namespaces of a host."""
        runtime = RuntimeClient(self._paths.runtime_socket(worker))
        return self._kept(asyncio.run(runtime.exec_node(host, argv, tty=True)))

    def in_container(self, worker: int, container: str, argv: Sequence[str]) -> Shell:
        """Start a program beside a container's."""
        runtime = RuntimeClient(self._paths.runtime_socket(worker))
        return self._kept(asyncio.run(runtime.exec(container, argv, tty=True)))

    def close(self) -> None:
        """End all shells."""
        for shell in self._shells:
            shell.close()
        self._shells.clear()

    def _kept(self, session: ExecSession) -> Shell:
        assert isinstance(session, RemoteExec), "runtimes are processes of their own"
        assert session.terminal is not None, "a program that asked for a terminal has one"
        self._shells.append(Shell(session, session.terminal))
        return self._shells[-1]


class NamespaceRuntime(RuntimeClient):
    """A RuntimeClient with `pids`; `run` and `follow` must be running."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        self.pids: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        """The init that each node had last, also while it is off."""
        self._awaited: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._renewed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        status = await super().start_sandbox(spec)
        self.pids[pod_namespace(status.id)] = status.pid
        return status

    async def stop_sandbox(self, id: str) -> None:
        await super().stop_sandbox(id)
        self.pids.pop(pod_namespace(id), None)

    async def sandboxes(self) -> Sequence[SandboxStatus]:
        found = await super().sandboxes()
        self.pids.update({pod_namespace(sandbox.id): sandbox.pid for sandbox in found if sandbox.alive})
        return found

    async def nodes(self) -> Mapping[str, int]:
        found = await super().nodes()
        for name in [name for name in self.pids if not name.startswith(POD_PREFIX) and name not in found]:
            del self.pids[name]
        for name in [name for name, pid in found.items() if self._seen.get(name, pid) != pid]:
            self._renewed.pop(name, asyncio.Event()).set()
        self._seen.update(found)
        self.pids.update(found)
        for name in self._awaited.keys() & found.keys():
            self._awaited.pop(name).set()
        return found

    async def powered_on(self, node: str) -> None:
        """Wait until the node's init runs."""
        if node not in self.pids:
            await self._awaited[node].wait()

    async def powered_on_again(self, node: str) -> None:
        """Wait until the node's init is another one than it was."""
        await self._renewed[node].wait()

    async def follow(self) -> None:
        """Ask for the nodes whenever the runtime tells of one, for ever: others start and kill them."""
        async for event in self.events():
            if concerns_nodes(event):
                await self._look()

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(FabricError):
                await self.nodes()
                return
            await asyncio.sleep(RETRY_SECONDS)


LOGS = Path("var/log/daemons")
"""Below a node's private files: `<program>.log` has what it wrote to stdout and stderr."""


class NodeDaemons:
    """The daemons of one node, kept by its runtime: what a network plugin sees as `Daemons`."""

    def __init__(self, runtime: Runtime, node: str, root: Path) -> None:
        """`root`: the node's private files as the host sees them."""
        self._runtime = runtime
        self._node = node
        self._logs = root / LOGS

    async def keep(self, program: Program) -> int:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FabricError(f"{self._node}: /{LOGS} cannot be made: {error.strerror}") from error
        log_path = self._logs / f"{program.name}.log"
        spec = DaemonSpec(self._node, program.name, program.argv, program.restart_argv, log_path)
        return (await self._runtime.start_daemon(spec)).pid

    async def end(self, name: str) -> None:
        await self._runtime.stop_daemon(self._node, name)

    async def running(self) -> Mapping[str, int]:
        found = await self._runtime.daemons(self._node)
        return {status.name: status.pid for status in found if status.pid}
