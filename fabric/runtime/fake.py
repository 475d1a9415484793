"""A runtime in memory, on the loop's clock: programs are scripts, and a day of crashes takes no time.

It refuses what the real one refuses (a sandbox without its node, a container without its sandbox), ends
what the real one ends (a node's pods with the node, a pod's containers with its pause process), and
tells its listeners the same ids.
"""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fabric.errors import FabricError
from fabric.runtime.contract import (
    ContainerSpec,
    ContainerStatus,
    DaemonSpec,
    DaemonStatus,
    ExecSession,
    HostSpec,
    RuntimeRefused,
    SandboxSpec,
    SandboxStatus,
    StartError,
)
from fabric.runtime.endings import Endings
from fabric.runtime.fake_daemons import FakeDaemons
from fabric.runtime.fake_program import FakeExec, Program, Script, well_known
from fabric.runtime.processes import capabilities
from fabric.runtime.wire import node_event


@dataclass(slots=True)
class _Container:
    spec: ContainerSpec
    program: Program
    status: ContainerStatus
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class FakeRuntime:
    """A Runtime without Linux. `programs` maps argv[0] to a script; others are in `well_known`."""

    def __init__(
        self, programs: Mapping[str, Program | Script] | None = None, *, epoch: float = 1.8e9
    ) -> None:
        self.programs: dict[str, Program | Script] = dict(programs or {})
        self.down = False
        """True: every call raises FabricError, as while the runtime process restarts."""
        # All that was ever asked for, in order: starts, signals by id, hostPaths by node, path and type.
        self.started: list[ContainerSpec] = []
        self.signals: list[tuple[str, int]] = []
        self.host_paths: list[tuple[str, str, str]] = []
        self.refused_host_paths: dict[tuple[str, str], str] = {}
        self._epoch = epoch
        self._last_pid = 1000
        self._nodes: dict[str, int] = {}
        self._specs: dict[str, SandboxSpec] = {}
        self._sandboxes: dict[str, SandboxStatus] = {}
        self._containers: dict[str, _Container] = {}
        self._daemons = FakeDaemons(self._program, self._next_pid)
        self.started_daemons = self._daemons.started
        self._endings = Endings()

    async def start_node(self, spec: HostSpec) -> int:
        self._check_up()
        if spec.name not in self._nodes:
            self._nodes[spec.name] = self._next_pid()
            self._endings.tell(node_event(spec.name))
        return self._nodes[spec.name]

    async def stop_node(self, name: str) -> None:
        self._check_up()
        if self._nodes.pop(name, None) is not None:
            self._endings.tell(node_event(name))
        self._daemons.stop_all_of(name)
        for sandbox in [s.id for s in self._sandboxes.values() if s.node == name]:
            self.kill_sandbox(sandbox)

    async def nodes(self) -> Mapping[str, int]:
        self._check_up()
        return dict(self._nodes)

    async def start_daemon(self, spec: DaemonSpec) -> DaemonStatus:
        self._check_up()
        if any("\0" in word for word in (*spec.argv, *spec.restart_argv)):
            raise RuntimeRefused("a string holds a NUL byte, which Linux takes in no word, name or path")
        if spec.node not in self._nodes:
            raise RuntimeRefused(f"node {spec.node} does not run; start it first")
        return self._daemons.start(spec)

    async def stop_daemon(self, node: str, name: str) -> None:
        self._check_up()
        self._daemons.stop(node, name)

    async def daemons(self, node: str = "") -> Sequence[DaemonStatus]:
        self._check_up()
        return self._daemons.statuses(node)

    async def prepare_host_path(self, node: str, path: str, kind: str) -> None:
        self._check_up()
        self.host_paths.append((node, path, kind))
        if why := self.refused_host_paths.get((node, path)):
            raise RuntimeRefused(why)

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus:
        self._check_up()
        if spec.id not in self._sandboxes:
            if spec.node not in self._nodes:
                raise RuntimeRefused(f"sandbox {spec.id}: node {spec.node} does not run; start it first")
            self._specs[spec.id] = spec
            self._sandboxes[spec.id] = SandboxStatus(spec.id, spec.node, self._next_pid(), alive=True)
        return self._sandboxes[spec.id]

    async def stop_sandbox(self, id: str) -> None:
        self._check_up()
        self.kill_sandbox(id)
        self._sandboxes.pop(id, None)
        self._specs.pop(id, None)
        for container in [c.spec.id for c in self._containers.values() if c.spec.sandbox == id]:
            del self._containers[container]

    async def sandboxes(self) -> Sequence[SandboxStatus]:
        self._check_up()
        return tuple(self._sandboxes.values())

    async def start_container(self, spec: ContainerSpec) -> ContainerStatus:
        self._check_up()
        if spec.id in self._containers:
            return self._containers[spec.id].status
        if any("\0" in word for word in (*spec.argv, *spec.env, *spec.env.values())):
            raise RuntimeRefused("a string holds a NUL byte, which Linux takes in no word, name or path")
        for name in spec.capabilities or ():
            if name not in capabilities.NUMBERS:
                raise RuntimeRefused(f"capability {name}: Linux has none of this name (capabilities(7))")
        sandbox = self._sandboxes.get(spec.sandbox)
        if sandbox is None or not sandbox.alive:
            raise RuntimeRefused(
                f"container {spec.name}: sandbox {spec.sandbox} does not run; start it first"
            )
        self.started.append(spec)
        container = _Container(spec, self._program(spec.argv), self._running(spec))
        self._containers[spec.id] = container
        self._script(container)
        return container.status

    async def signal_container(self, id: str, signal: int) -> None:
        self._check_up()
        container = self._containers.get(id)
        if container is None or container.status.state != "running":
            return
        self.signals.append((id, signal))
        program = container.program
        if signal == signals.SIGKILL:
            self._end(container, 128 + signal, signal)
        elif signal == signals.SIGTERM and program.on_term is not None:
            self._later(container, program.stops_in_seconds, program.on_term, 0)
        elif signal not in program.ignores:
            self._later(container, program.stops_in_seconds, 128 + signal, signal)

    async def remove_container(self, id: str) -> None:
        self._check_up()
        if id in self._containers:
            self.end_container(id, 128 + signals.SIGKILL, signals.SIGKILL)
            del self._containers[id]

    async def containers(self, sandbox: str = "") -> Sequence[ContainerStatus]:
        self._check_up()
        return tuple(c.status for c in self._containers.values() if sandbox in ("", c.spec.sandbox))

    def events(self) -> AsyncIterator[str]:
        return self._endings.listen()

    async def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> ExecSession:
        self._check_up()
        known = self._containers.get(container)
        if known is None or known.status.state != "running":
            raise RuntimeRefused(f"container {container} does not run")
        return self._exec(argv)

    async def exec_node(
        self,
        node: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> ExecSession:
        self._check_up()
        if node not in self._nodes:
            raise RuntimeRefused(f"node {node} does not run")
        return self._exec(argv)

    def kill_sandbox(self, id: str) -> None:
        """Let its pause process be killed: all its containers die with it."""
        sandbox = self._sandboxes.get(id)
        if sandbox is None or not sandbox.alive:
            return
        self._sandboxes[id] = replace(sandbox, alive=False)
        for container in [c for c in self._containers.values() if c.spec.sandbox == id]:
            self._end(container, 128 + signals.SIGKILL, signals.SIGKILL)
        self._endings.tell(id)

    def end_container(self, id: str, exit_code: int, signal: int = 0) -> None:
        """Let a container end by itself."""
        self._end(self._containers[id], exit_code, signal)

    def kill_daemon(self, node: str, name: str) -> None:
        """Let a daemon be killed: it is started again."""
        self._daemons.end(node, name, "it was killed by SIGKILL")

    def restart(self) -> None:
        """Let the runtime process be killed and started again: all lives on, listeners look at all."""
        self.down = False
        self._endings.tell("")

    def sandbox_spec(self, id: str) -> SandboxSpec:
        return self._specs[id]

    def container_spec(self, id: str) -> ContainerSpec:
        return self._containers[id].spec

    def _check_up(self) -> None:
        if self.down:
            raise FabricError("the runtime does not answer; it is being restarted")

    def _now(self) -> float:
        return self._epoch + asyncio.get_running_loop().time()

    def _next_pid(self) -> int:
        self._last_pid += 1
        return self._last_pid

    def _program(self, argv: Sequence[str]) -> Program:
        found = self.programs.get(argv[0], well_known)
        return found if isinstance(found, Program) else found(tuple(argv))

    def _exec(self, argv: Sequence[str]) -> FakeExec:
        program = self._program(argv)
        if program.start_error:
            raise StartError(program.start_error, program.start_error_code)
        return FakeExec(program)

    def _running(self, spec: ContainerSpec) -> ContainerStatus:
        return ContainerStatus(
            spec.id,
            spec.sandbox,
            spec.name,
            self._next_pid(),
            "running",
            self._now(),
            labels=dict(spec.labels),
        )

    def _script(self, container: _Container) -> None:
        program = container.program
        if program.start_error:
            code = program.start_error_code
            container.status = _exited(
                container.status, self._now(), code, 0, "StartError", program.start_error
            )
            self._endings.tell(container.spec.sandbox)
        elif program.seconds is not None:
            self._later(container, program.seconds, program.exit_code, 0)

    def _later(self, container: _Container, seconds: float, code: int, signal: int) -> None:
        loop = asyncio.get_running_loop()
        container.timers.append(loop.call_later(seconds, self._end, container, code, signal))

    def _end(self, container: _Container, code: int, signal: int) -> None:
        if container.status.state == "exited":
            return
        for timer in container.timers:
            timer.cancel()
        reason = "Error" if code else "Completed"
        container.status = _exited(container.status, self._now(), code, signal, reason)
        self._endings.tell(container.spec.sandbox)


def _exited(
    status: ContainerStatus, now: float, code: int, signal: int, reason: str, message: str = ""
) -> ContainerStatus:
    return replace(
        status, state="exited", finished_at=now, exit_code=code, signal=signal, reason=reason, message=message
    )
