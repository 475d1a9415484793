"""The runtime's contract: nodes, pod sandboxes and containers as processes of Linux.

Everything hangs on a process. A node is an init process with network, UTS, IPC, mount and PID
namespaces of its own; a pod sandbox is a pause process inside its node's PID namespace with network, UTS,
IPC and PID namespaces of its own; a container is a process in its pod's namespaces with a mount
namespace of its own. Nothing is pinned by a mount: when the processes of a cluster are dead, the
kernel has freed its namespaces, links, routes, rules and mounts.

The runtime outlives the kubelet that uses it, and containers outlive the runtime.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from fabric.errors import FabricError


class RuntimeRefused(FabricError):
    """The runtime answers, and will not do what was asked; the message says why."""


class StartError(RuntimeRefused):
    """A program could not be started; the message reads like runc's."""

    def __init__(self, message: str, exit_code: int = 127) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """127: not found; 126: found, but it cannot be run."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount (or a tmpfs when `source` is None) inside a node's or a container's file system."""

    target: str
    source: Path | None = None
    read_only: bool = False
    size_bytes: int = 0
    """Limit of a tmpfs; 0 is the kernel's default."""
    of_node: bool = False
    """True: `source` is a path of the container's node, as the node's own programs see it."""
    sub_path: str = ""
    """With `of_node`: what of the source is mounted; it is made where missing, and cannot lead out of it."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A node, switch or router: the files and namespaces of its init process."""

    name: str
    mounts: tuple[Mount, ...] = ()
    """Private files of this host: its /run, /var/lib/cni, /etc/cni/net.d, /etc/hosts …"""
    ipv6: bool = False
    """False turns IPv6 off in the namespace before any device comes up."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A pod's shared namespaces."""

    id: str
    """The pod's UID."""
    node: str
    hostname: str
    host_network: bool = False
    ipv6: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The start of a container."""

    id: str
    """Unique for ever: 64 hex digits, as a container id."""
    sandbox: str
    name: str
    argv: tuple[str, ...]
    """Program and arguments as the image and the pod say; argv[0] is looked up in the image's PATH."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    root: Path | None = None
    """Directory of an unpacked image root; None shows the host's programs below a private overlay."""
    mounts: tuple[Mount, ...] = ()
    log_path: Path | None = None
    """Where stdout and stderr go, as CRI has it: `<RFC3339Nano> stdout|stderr F|P <text>` a line."""
    uid: int = 0
    gid: int = 0
    read_only_root: bool = False
    capabilities: tuple[str, ...] | None = None
    """All that it may have, as `NET_ADMIN`; None is containerd's default set. One that is not root has none
    in effect."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Kept with the container and handed back by `containers`: pod, namespace, restart count …"""


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    id: str
    node: str
    pid: int
    """The pause process, as the host sees it: `/proc/<pid>/ns/net` is the pod's network."""
    alive: bool


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    id: str
    sandbox: str
    name: str
    pid: int
    state: Literal["running", "exited"]
    started_at: float
    """Seconds since the epoch."""
    finished_at: float = 0.0
    exit_code: int | None = None
    """128 + n after signal n; None while it runs, and 255 when its end was not seen."""
    signal: int = 0
    reason: str = ""
    """"" | Completed | Error | StartError | ContainerStatusUnknown."""
    message: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DaemonSpec:
    """A program that a node keeps running, in all of the node's namespaces and with its files."""

    node: str
    name: str
    """Unique on its node."""
    argv: tuple[str, ...]
    """It stays in the foreground; `ipip-carrier DEVICE` is the runtime's own (fabric.plugin.contract)."""
    restart_argv: tuple[str, ...] = ()
    """How it is started again after an end that nobody asked for; as before where empty."""
    log_path: Path | None = None
    """Where stdout and stderr are appended; None is /dev/null."""


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    node: str
    name: str
    pid: int
    """0 while it waits to be started again."""
    argv: tuple[str, ...]
    """As it was asked for."""
    restarts: int = 0
    """How often it was started again, or tried to be."""
    message: str = ""
    """Why it ended last, or could not be started; empty when it never did."""


class ExecSession(Protocol):
    """An exec session: a program started in a container or on a node; closing the connection kills it."""

    @property
    def terminal(self) -> int | None:
        """The master end of its terminal (the caller closes it), or None without a terminal."""
        ...

    async def wait(self) -> int:
        """Return its exit code: 128 + n after signal n, 127 or 126 when it could not be started."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size in characters; without a terminal nothing happens."""
        ...

    async def signal(self, signal: int) -> None:
        """Send a signal; one to a program that has ended is no error."""
        ...


class Runtime(Protocol):
    """A runtime process: the nodes of one worker, their sandboxes and containers.

    Every call is idempotent in its id: making what exists returns it, ending what is gone is no error.
    """

    async def start_node(self, spec: HostSpec) -> int:
        """Start the node's init and return its pid."""
        ...

    async def stop_node(self, name: str) -> None:
        """Power off: kill the node's init; the kernel kills all its pods with it."""
        ...

    async def nodes(self) -> Mapping[str, int]:
        """Pid of the init of every living node, by name."""
        ...

    async def start_daemon(self, spec: DaemonSpec) -> DaemonStatus:
        """Keep a program running on a node: after 0.1 s, doubling to 5 s, it is started again when it ends.

        One that runs with the same words is left alone; one with other words is killed first, and started
        with `argv`. It outlives the runtime, and is forgotten when its node ends.
        """
        ...

    async def stop_daemon(self, node: str, name: str) -> None:
        """Kill it and start it no more; returns when it is dead."""
        ...

    async def daemons(self, node: str = "") -> Sequence[DaemonStatus]:
        """The daemons of a node, or of all nodes, sorted by node and name."""
        ...

    async def prepare_host_path(self, node: str, path: str, kind: str) -> None:
        """Check a path of the node by a hostPath volume's type, and make it where the type says so.

        RuntimeRefused reads like the kubelet's: `hostPath type check failed: /data is not a directory`.
        """
        ...

    async def start_sandbox(self, spec: SandboxSpec) -> SandboxStatus: ...

    async def stop_sandbox(self, id: str) -> None:
        """Kill the pause process and all that is in its PID namespace, and forget its containers."""
        ...

    async def sandboxes(self) -> Sequence[SandboxStatus]: ...

    async def start_container(self, spec: ContainerSpec) -> ContainerStatus:
        """Start it; a program that is not there gives `exited`, 127 or 126, StartError and a message."""
        ...

    async def signal_container(self, id: str, signal: int) -> None: ...

    async def remove_container(self, id: str) -> None:
        """Forget an exited container (its log stays); kill it first if it runs."""
        ...

    async def containers(self, sandbox: str = "") -> Sequence[ContainerStatus]: ...

    def events(self) -> AsyncIterator[str]:
        """Yield the sandbox id whenever a container or pause process of it ended; "" means: look at all.

        An init of a node that was started or ended is told as `wire.node_event`.

        The first to come is always "". Any number may listen; a slow listener sees an id once, not twice.
        """
        ...

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
        """Start a program in a running container, with its environment and `env` over it.

        The file descriptors are handed to the program and stay the caller's; None is /dev/null. With `tty`
        the program gets a terminal instead, whose master end is the session's `terminal`. A program
        that is not there raises StartError; a container that does not run, FabricError.
        """
        ...

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
        """Start a program in all of a node's namespaces; else as `exec`."""
        ...
