"""The real side of the kernel port: namespaces held by processes, written by netlink and Linux's own tools.

Every call runs in a thread of the kernel's own pool: a namespace's read or a pod's wiring takes 1 ms and
more, most of it waiting for the kernel's rtnl lock, and the event loop has other nodes to serve. One host
does one thing at a time. A node's netlink socket stays open; a pod's is opened for each use (a thousand
pods would be a thousand descriptors).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from socket import SOCK_CLOEXEC, SOCK_NONBLOCK
from socket import socket as AnySocket
from typing import TypeVar

from fabric.errors import KernelRefused
from fabric.kernel import conntrack, programs, tun
from fabric.kernel.namespaces import inside
from fabric.kernel.netfilter import Netfilter
from fabric.kernel.netlink import NetlinkError, Socket
from fabric.kernel.nsids import NamespaceIds
from fabric.kernel.podwatch import PodWatch
from fabric.kernel.programs import ToolFailed
from fabric.kernel.reader import Reader
from fabric.kernel.watch import Watch
from fabric.kernel.writer import NETLINK_KINDS, Writer, refusal
from fabric.netstate.flows import Flow
from fabric.netstate.objects import NetObject, NetState, Sysctl
from fabric.netstate.plan import Plan, Step
from fabric.netstate.port import POD_PREFIX, Host, Kernel, Medium, Notice, Owner, medium_of
from fabric.netstate.rules import Chain, IpSet, Jump

T = TypeVar("T")
THREADS_MAX = 4
"""rtnl is one lock: more threads would only wait for it."""
HOSTS_KEPT = 64

log = logging.getLogger(__name__)


class LinuxKernel(Kernel):
    """The namespaces of a cluster, each known by a process inside it."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """`pids` may change at any time: it is looked at on every use."""
        self._pids = pids
        self._hosts: dict[str, LinuxHost] = {}
        self._executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="kernel")
        self._flavour = ""
        self._pod_watch: PodWatch | None = None

    def host(self, name: str) -> LinuxHost:
        if name not in self._hosts:
            self._forget_dead()
            self._hosts[name] = LinuxHost(self, name)
        return self._hosts[name]

    async def apply(self, plans: Mapping[str, Plan]) -> None:
        hosts = [(self.host(name), plan) for name, plan in plans.items() if plan]

        def work() -> None:
            for host, plan in hosts:
                host.carry_out(plan)

        async with AsyncExitStack() as turns:
            for host, _ in sorted(hosts, key=lambda entry: entry[0].name):
                await turns.enter_async_context(host.turn)
            await self.in_thread(work)

    def follow(self, pod: str, state: NetState, changed: Callable[[], None]) -> Callable[[], None]:
        try:
            if self._pod_watch is None:
                self._pod_watch = PodWatch()
            return self._pod_watch.follow(self._pids[pod], state, changed)
        except (KeyError, OSError) as error:
            log.info("%s: what changes there is not told: %s", pod, error)
            return _nothing

    def close(self) -> None:
        """Close every socket and end the threads; the namespaces stay as they are."""
        if self._pod_watch is not None:
            self._pod_watch.close()
        self._executor.shutdown()
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()

    @property
    def pids(self) -> Mapping[str, int]:
        return self._pids

    def flavour(self, pid: int) -> str:
        """Return the flavour of iptables for all namespaces; found out once, in the first that needs it."""
        if not self._flavour:
            self._flavour = programs.detect_flavour(pid)
        return self._flavour

    def _forget_dead(self) -> None:
        """Keep no more hosts of namespaces that are gone than of those that are there."""
        dead = [name for name in self._hosts if name not in self._pids]
        if len(dead) > len(self._pids) + HOSTS_KEPT:
            for name in dead:
                self._hosts.pop(name).forget()

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class LinuxHost(Host):
    """A network namespace of this machine."""

    def __init__(self, kernel: LinuxKernel, name: str) -> None:
        self._kernel = kernel
        self._name = name
        self._busy = threading.Lock()
        self.turn = asyncio.Lock()
        """Held by whoever works in this namespace; turns of several are taken in the order of names."""
        self._socket: Socket | None = None
        self._pid = 0
        self._watch: Watch | None = None
        self._notices: list[Notice] = []
        self._reader = Reader(name, NamespaceIds(name, kernel.pids))
        self._netfilter = Netfilter(name, self._run_tool, lambda: kernel.flavour(self._pid))

    @property
    def name(self) -> str:
        return self._name

    async def read(self, owner: Owner) -> NetState:
        async with self.turn:
            self._follow()
            return await self._kernel.in_thread(lambda: self._read(owner))

    async def apply(self, plan: Plan) -> None:
        if plan:
            async with self.turn:
                await self._kernel.in_thread(lambda: self.carry_out(plan))

    def watch(self, notice: Notice) -> Callable[[], None]:
        self._notices.append(notice)

        def stop() -> None:
            self._notices.remove(notice)
            if not self._notices and self._watch is not None:
                self._watch.close()
                self._watch = None

        return stop

    async def socket(self, family: int, kind: int, protocol: int = 0) -> AnySocket:
        return await self._kernel.in_thread(lambda: self._open_socket(family, kind, protocol))

    def _follow(self) -> None:
        """Hear what the namespace tells from now on, if anybody listens; one that came anew is another."""
        pid = self._kernel.pids.get(self._name)
        if not self._notices or (self._watch is not None and self._watch.pid == pid):
            return
        if self._watch is not None:
            self._watch.close()
        self._watch = None
        if pid is not None:
            with suppress(OSError):
                self._watch = Watch(pid, lambda: self._reader.names, self._tell, self._ended)

    def _tell(self, medium: Medium, obj: NetObject | None, gone: bool) -> None:
        for notice in tuple(self._notices):
            notice(medium, obj, gone)

    def _ended(self) -> None:
        """The process in the namespace is gone: keep nothing of it, and let it be looked at."""
        self._watch = None
        self.forget()
        self._tell("netlink", None, False)

    def forget(self) -> None:
        """Close the socket, unless it is in use: then the end of that use closes it."""
        if self._busy.acquire(blocking=False):
            self.close()
            self._busy.release()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._pid = None, 0

    def _open_socket(self, family: int, kind: int, protocol: int) -> AnySocket:
        try:
            with inside(self._kernel.pids[self._name]):
                return AnySocket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
        except KeyError:
            gone = NetlinkError(errno.ESRCH, "there is no such namespace")
            raise refusal(self._name, "socket", gone) from None
        except OSError as error:
            raise refusal(self._name, "socket", error) from error

    def _read(self, owner: Owner) -> NetState:
        with self._visit("read") as socket:
            found: set[NetObject] = set()
            if owner.kinds & frozenset(NETLINK_KINDS):
                found.update(self._reader.read(socket, owner.kinds, owner.families))
            if Sysctl in owner.kinds and owner.sysctls:
                found.update(self._read_sysctls(owner.sysctls))
            if owner.kinds & {Chain, Jump}:
                found.update(self._netfilter.rules(owner.families))
            if IpSet in owner.kinds:
                found.update(self._netfilter.sets())
        return frozenset(obj for obj in found if type(obj) in owner.kinds and owner.owns(obj))

    def carry_out(self, plan: Plan) -> None:
        """Do what `apply` does, in the calling thread, which holds the turn."""
        with self._visit("apply") as socket:
            for medium, steps in groupby(plan.steps, lambda step: medium_of(step.obj)):
                match medium:
                    case "netlink":
                        self._writer(socket).write(steps)
                    case "sysctl":
                        self._write_sysctls(list(steps))
                    case "sets":
                        self._netfilter.write_sets(list(steps))
                    case "rules":
                        self._netfilter.write_rules(list(steps))
            if plan.flows:
                self._forget(plan.flows)

    @contextmanager
    def _visit(self, verb: str) -> Iterator[Socket]:
        with self._busy:
            try:
                yield self._open()
            except ToolFailed as error:
                raise KernelRefused(f"{self._name}: {verb}: {error}") from error
            except OSError as error:
                raise refusal(self._name, verb, error) from error
            finally:
                if self._name.startswith(POD_PREFIX) or self._name not in self._kernel.pids:
                    self.close()

    def _open(self) -> Socket:
        pid = self._kernel.pids.get(self._name)
        if pid is None:
            raise NetlinkError(errno.ESRCH, "there is no such namespace")
        if self._socket is None or pid != self._pid:
            self.close()
            with inside(pid):
                self._socket = Socket()
            self._pid = pid
        return self._socket

    def _writer(self, socket: Socket) -> Writer:
        def read(kind: type) -> NetState:
            return frozenset(self._reader.read(socket, frozenset((kind,))))

        return Writer(self._name, socket, self._kernel.pids, read, self._make_tun)

    def _make_tun(self, name: str) -> None:
        with inside(self._pid):
            tun.make(name)

    def _read_sysctls(self, paths: frozenset[str]) -> Iterator[Sysctl]:
        with inside(self._pid):
            for path in sorted(paths):
                try:
                    value = Path("/proc/sys", path).read_text()
                except FileNotFoundError:
                    continue
                yield Sysctl(path, " ".join(value.split()))

    def _write_sysctls(self, steps: Sequence[Step]) -> None:
        with inside(self._pid):
            for step in steps:
                if step.verb == "delete" or not isinstance(step.obj, Sysctl):
                    continue
                try:
                    Path("/proc/sys", step.obj.path).write_text(step.obj.value)
                except OSError as error:
                    raise refusal(self._name, step, error) from error

    def _forget(self, flows: Sequence[Flow]) -> None:
        with inside(self._pid):
            netfilter = Socket(conntrack.NETLINK_NETFILTER)
        try:
            conntrack.forget(netfilter, flows)
        finally:
            netfilter.close()

    def _run_tool(self, command: Sequence[str], text: str) -> str:
        return programs.run(self._pid, command, text)


def _nothing() -> None: ...
