"""The daemons of a fake runtime: scripts that are started again when they end, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fabric.runtime.contract import DaemonSpec, DaemonStatus
from fabric.runtime.fake_program import Program

_DELAY_SECONDS, _DELAY_SECONDS_MAX, _LIVED_SECONDS = 0.1, 5.0, 10.0

Key = tuple[str, str]


@dataclass(slots=True)
class _Daemon:
    spec: DaemonSpec
    status: DaemonStatus
    delay_seconds: float = _DELAY_SECONDS
    started: float = 0.0
    ran: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class FakeDaemons:
    """The daemons of a fake runtime, without processes."""

    def __init__(self, program: Callable[[Sequence[str]], Program], next_pid: Callable[[], int]) -> None:
        self.started: list[tuple[str, str, tuple[str, ...]]] = []
        """Node, name and words of every start, in order."""
        self._program = program
        self._next_pid = next_pid
        self._daemons: dict[Key, _Daemon] = {}

    def start(self, spec: DaemonSpec) -> DaemonStatus:
        key = (spec.node, spec.name)
        known = self._daemons.get(key)
        if known is not None and known.spec.argv == spec.argv:
            known.spec = spec
            return known.status
        self.stop(*key)
        daemon = self._daemons[key] = _Daemon(spec, DaemonStatus(spec.node, spec.name, 0, spec.argv))
        self._launch(daemon, spec.argv)
        return daemon.status

    def stop(self, node: str, name: str) -> None:
        daemon = self._daemons.pop((node, name), None)
        if daemon is not None:
            _cancel(daemon)

    def stop_all_of(self, node: str) -> None:
        for key in [key for key in self._daemons if key[0] == node]:
            self.stop(*key)

    def statuses(self, node: str) -> tuple[DaemonStatus, ...]:
        return tuple(d.status for key, d in sorted(self._daemons.items()) if node in ("", key[0]))

    def end(self, node: str, name: str, message: str) -> None:
        """Let a daemon end, by itself or by a signal."""
        daemon = self._daemons[node, name]
        _cancel(daemon)
        if _now() - daemon.started >= _LIVED_SECONDS:
            daemon.delay_seconds = _DELAY_SECONDS
        daemon.status = replace(daemon.status, pid=0, message=message)
        self._start_later(daemon)

    def _launch(self, daemon: _Daemon, argv: tuple[str, ...]) -> None:
        program = self._program(argv)
        spec = daemon.spec
        self.started.append((spec.node, spec.name, argv))
        if program.start_error:
            daemon.status = replace(daemon.status, pid=0, message=program.start_error)
            self._start_later(daemon)
            return
        daemon.ran, daemon.started = True, _now()
        daemon.status = replace(daemon.status, pid=self._next_pid())
        if program.seconds is not None:
            message = f"it ended with exit code {program.exit_code}"
            loop = asyncio.get_running_loop()
            daemon.timers.append(loop.call_later(program.seconds, self.end, spec.node, spec.name, message))

    def _start_later(self, daemon: _Daemon) -> None:
        delay, daemon.delay_seconds = daemon.delay_seconds, min(2 * daemon.delay_seconds, _DELAY_SECONDS_MAX)
        daemon.timers.append(asyncio.get_running_loop().call_later(delay, self._start_again, daemon))

    def _start_again(self, daemon: _Daemon) -> None:
        daemon.status = replace(daemon.status, restarts=daemon.status.restarts + 1)
        again = daemon.spec.restart_argv if daemon.ran else ()
        self._launch(daemon, again or daemon.spec.argv)


def _cancel(daemon: _Daemon) -> None:
    for timer in daemon.timers:
        timer.cancel()
    daemon.timers.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
