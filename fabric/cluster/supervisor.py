"""The supervisor: one plain process that starts the components of a cluster and starts them again.

It has no threads and no event loop: it forks, waits for signals, and reaps (also the containers of a
runtime that was killed: it is their subreaper). A component is forked, not
started anew, so that all share the pages of what was imported once. A component dies with its supervisor
(PR_SET_PDEATHSIG): what is left then are the pods and the data plane, which need neither, and
`fabric up` starts a new supervisor that finds everything in the store and in the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fabric.cluster import component_logs
from fabric.cluster.cgroup import ClusterCgroup, start_time
from fabric.cluster.paths import ClusterPaths

RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 10.0
STABLE_SECONDS = 30.0
"""A component that lived this long starts with the shortest delay again."""
RUNTIME = "runtime-"
LOOK_SECONDS = 60.0
"""How often the logs are looked at."""
_REAP_SECONDS = 0.005
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_AUTOGROUP_NICE = -15
_SIGNALS = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})

_log = logging.getLogger(__name__)

Body = Callable[[], None]
"""What a component does in its own process; it returns only when it was told to end."""


@dataclass(slots=True)
class _Child:
    """A component and its present process."""

    name: str
    body: Body
    pid: int = 0
    started: float = 0.0
    retry_seconds: float = RETRY_SECONDS
    due: float = 0.0
    restarts: int = 0


def launch(paths: ClusterPaths, components: Mapping[str, Body], preload: Callable[[], None]) -> int:
    """Start the supervisor as a process of the cluster, detached from the caller, and return its pid.

    `preload` is called between the components that are named `runtime-…` and the others: it imports
    what these have in common.
    """
    cgroup = ClusterCgroup(paths.cluster)
    cgroup.make()
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _detach(paths, cgroup, Supervisor(paths, components, preload), send)
    os.close(send)
    with os.fdopen(receive) as pipe:
        pid = pipe.read()
    os.waitpid(child, 0)
    return int(pid)


def _detach(paths: ClusterPaths, cgroup: ClusterCgroup, supervisor: Supervisor, report: int) -> NoReturn:
    """Become the supervisor: join the cluster, and fork once more to be nobody's child."""
    try:
        os.setsid()
        _reset_signals()
        _go_first()
        cgroup.join_as_supervisor()
        if os.fork() > 0:
            os._exit(0)
        record_pid(paths, "supervisor", os.getpid())
        os.write(report, str(os.getpid()).encode())
        os.close(report)
        component_logs.write_to(paths.logs / "supervisor.log")
        supervisor.run()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


class Supervisor:
    """Keeps one process per component alive."""

    def __init__(
        self, paths: ClusterPaths, components: Mapping[str, Body], preload: Callable[[], None]
    ) -> None:
        self._paths = paths
        self._cgroup = ClusterCgroup(paths.cluster)
        self._preload = preload
        self._children = [_Child(name, body) for name, body in components.items()]

    def run(self) -> None:
        """Supervise until SIGTERM, which ends the whole cluster."""
        _name_process("fabric:super")
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        _raise_file_limit()
        for child in self._children:
            if child.name.startswith(RUNTIME):
                self._start(child)
        self._preload()
        gc.collect()
        gc.freeze()
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.due <= now:
                    self._start(child)
            due = [child.due for child in self._children if not child.pid]
            wait = min(due, default=now + LOOK_SECONDS) - time.monotonic()
            got = signal.sigtimedwait(_SIGNALS, min(max(0.0, wait), LOOK_SECONDS))
            if got is not None and got.si_signo in (signal.SIGTERM, signal.SIGINT):
                self._end()
                return
            self._reap()
            component_logs.shorten(self._paths.logs)

    def _start(self, child: _Child) -> None:
        parent = os.getpid()
        child.started = time.monotonic()
        child.pid = os.fork()
        if child.pid == 0:
            _become(self._paths, self._cgroup, child, parent)
        record_pid(self._paths, child.name, child.pid, child.restarts)

    def _end(self) -> None:
        """Kill the whole cluster and reap it: its namespaces are gone when this returns."""
        while True:
            self._cgroup.kill_members()
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                return
            time.sleep(_REAP_SECONDS)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children:
                if child.pid == pid:
                    self._ended(child, status)

    def _ended(self, child: _Child, status: int) -> None:
        now = time.monotonic()
        lived = now - child.started
        if lived >= STABLE_SECONDS:
            child.retry_seconds = RETRY_SECONDS
        child.pid = 0
        child.restarts += 1
        child.due = now + child.retry_seconds
        how = _how(status)
        _log.warning(
            "%s %s after %.1f s; starts again in %.1f s", child.name, how, lived, child.retry_seconds
        )
        child.retry_seconds = min(child.retry_seconds * 2, RETRY_SECONDS_MAX)


def _become(paths: ClusterPaths, cgroup: ClusterCgroup, child: _Child, parent: int) -> NoReturn:
    """Turn a forked child into the component; never returns."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        cgroup.join()
        _name_process(f"fabric:{child.name}")
        component_logs.write_to(paths.logs / f"{child.name}.log")
        child.body()
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def record_pid(paths: ClusterPaths, name: str, pid: int, restarts: int = 0) -> None:
    """Note who runs a component, for `status`; the cgroup, not this file, says what belongs to a cluster."""
    fresh = paths.pids / f".{name}.new"
    fresh.write_text(json.dumps({"pid": pid, "restarts": restarts, "startTime": start_time(pid)}))
    fresh.replace(paths.pids / name)


def recorded(paths: ClusterPaths) -> dict[str, tuple[int, int]]:
    """Pid (0 when dead) and number of restarts of every component that was started."""
    found: dict[str, tuple[int, int]] = {}
    for path in sorted(paths.pids.glob("[!.]*")):
        try:
            entry = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        alive = entry["startTime"] and start_time(entry["pid"]) == entry["startTime"]
        found[path.name] = (entry["pid"] if alive else 0, entry["restarts"])
    return found


def _go_first() -> None:
    """Have this session's processes come before those of nodes and pods where processors are short.

    Linux shares processors out by session (sched(7), autogroup): the control plane is one session, and each
    daemon and each pod another, so that 200 busy daemons would leave it half a percent of the machine.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_AUTOGROUP_NICE))


def _reset_signals() -> None:
    """Take signals as a new program does, but for those that Python ignores: no nohup is inherited."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _name_process(name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name[:15].encode())


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
