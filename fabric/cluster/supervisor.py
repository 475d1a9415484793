"""The supervisor is one plain process that starts the components of a cluster and starts them again.

It has no threads and no event loop: it forks, waits for signals, and reaps (also the containers of a
runtime that was killed: it is their subreaper). A component is forked, not
started anew, so that all share the pages of what was imported once. A component dies with its supervisor
(PR_SET_PDEATHSIG): what is left then are the pods and the data plane, which need neither, and
`fabric up` starts a new supervisor that finds everything in the store and in the kernel.

A machine without disk, processes, descriptors or memory ends no supervisor: what cannot be done is told in
the log and by `fabric status`, and done when there is room.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
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

from fabric.cluster import component_logs, component_records
from fabric.cluster.cgroup import ClusterCgroup, start_time
from fabric.cluster.component_records import ComponentRecord
from fabric.cluster.paths import ClusterPaths
from fabric.errors import FabricError, refusal_in

RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 10.0
STABLE_SECONDS = 30.0
"""A component that lived this long starts with the shortest delay again."""
RECORD_SECONDS = 1.0
"""How soon a record that found no room is written again."""
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
    trouble: str = ""
    is_recorded: bool = True


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
        told = pipe.read()
    os.waitpid(child, 0)
    if not told.isdigit():
        raise FabricError(f"the supervisor cannot be started: {told or 'it ended at once'}")
    return int(told)


def _detach(paths: ClusterPaths, cgroup: ClusterCgroup, supervisor: Supervisor, report: int) -> NoReturn:
    """Become the supervisor: join the cluster, and fork once more to be nobody's child."""
    code = 1
    try:
        os.setsid()
        _reset_signals()
        _go_first()
        cgroup.join_as_supervisor()
        if os.fork() > 0:
            os._exit(0)
        me = ComponentRecord(os.getpid(), 0, start_time(os.getpid()))
        component_records.write(paths, "supervisor", me)
        component_logs.write_to(paths.logs / "supervisor.log")
        os.write(report, str(os.getpid()).encode())
        os.close(report)
        report = -1
        supervisor.run()
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            if report >= 0:
                os.write(report, str(refusal_in(error) or repr(error)).encode())
            traceback.print_exc()
    finally:
        os._exit(code)


class Supervisor:
    """The parent of a cluster's components, which keeps one process of each alive."""

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
        gc.disable()
        self._preload()
        gc.freeze()
        gc.enable()
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.due <= now:
                    self._start(child)
            self._record()
            due = [child.due for child in self._children if not child.pid]
            due += [now + RECORD_SECONDS for child in self._children if not child.is_recorded]
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
        child.is_recorded = False
        try:
            pid = os.fork()
        except (OSError, MemoryError) as error:
            child.trouble = f"cannot be started: {refusal_in(error) or error}"
            self._try_later(child, child.trouble)
            return
        if pid == 0:
            _become(self._paths, self._cgroup, child, parent)
        child.pid, child.trouble = pid, ""

    def _record(self) -> None:
        """Write what `status` reads of those that changed; what finds no room now is written later."""
        for child in self._children:
            if not child.is_recorded:
                with contextlib.suppress(OSError):
                    born = start_time(child.pid) if child.pid else 0
                    record = ComponentRecord(child.pid, child.restarts, born, child.trouble)
                    component_records.write(self._paths, child.name, record)
                    child.is_recorded = True

    def _end(self) -> None:
        """Kill the whole cluster and reap it: its namespaces are gone when this returns."""
        while True:
            with contextlib.suppress(OSError):
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
        self._try_later(child, f"{_how(status)} after {lived:.1f} s")

    def _try_later(self, child: _Child, why: str) -> None:
        child.due = time.monotonic() + child.retry_seconds
        _log.warning("%s %s; starts again in %.1f s", child.name, why, child.retry_seconds)
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
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:  # nothing may lead back into the supervisor's code
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


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
