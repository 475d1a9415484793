"""What the children do between fork and exec: a node's init, a pod's pause process, a container.

Each function is called in the runtime, takes what it needs to know, and returns what the child is to
do. A child starts in the runtime's own mount namespace, as the runtime's copy.
"""

from __future__ import annotations

import os

from fabric.kernel.forkserver import echo, linux, program, roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fabric.kernel.forkserver.birth import Become, Channel, Prepare

    Spec = dict[str, Any]

NODE = linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNS
SANDBOX = linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
SANDBOX_ON_HOST_NETWORK = linux.CLONE_NEWPID | linux.CLONE_NEWIPC
CONTAINER = linux.CLONE_NEWNS
POD = linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
_PAUSE = ("catatonit", "-P")


class Places:
    """Where the runtime keeps what its children need."""

    def __init__(self, template: str, scratch: str) -> None:
        self.template = template
        """A directory that `roots.make_template` filled."""
        self.scratch = scratch
        """An empty directory to mount on."""


def node(spec: Spec, places: Places) -> Prepare:
    """An init with a root of its own over the host's."""

    def prepare(channel: Channel) -> Become:
        _set_ipv6(spec.get("ipv6", False))
        linux.sethostname(spec["name"])
        linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
        mounts = [{"target": "/run"}, *spec.get("mounts", ())]
        trees = roots.host_trees() + roots.trees([{"target": "/dev", "source": "/dev"}, *mounts])
        roots.enter(["/"], places.scratch)
        roots.mount_proc_and_sys(read_only=False)
        for tree in trees:
            tree.attach()
        return _pause(channel)

    return prepare


def sandbox(spec: Spec, node_fd: int) -> Prepare:
    """A pause process that holds the pod's namespaces; its files are its node's."""

    def prepare(channel: Channel) -> Become:
        if spec.get("host_network", False):
            linux.setns(node_fd, linux.CLONE_NEWNET | linux.CLONE_NEWUTS)
        else:
            _set_ipv6(spec.get("ipv6", False))
            _open_low_ports()
            linux.sethostname(spec["hostname"])
        linux.setns(node_fd, linux.CLONE_NEWNS)
        return _pause(channel)

    return prepare


def container(spec: Spec, pause_fd: int, places: Places, outputs: Sequence[str]) -> Prepare:
    """A process of the pod with a root of its own; `outputs` are the FIFOs of its stdout and stderr."""

    def prepare(channel: Channel) -> Become:
        _open_outputs(outputs)
        trees = roots.trees(spec.get("mounts", ()))
        given_root = spec.get("root")
        trees = trees if given_root else roots.host_trees() + trees
        devices = linux.open_tree(f"{places.template}/dev")
        roots.enter([given_root] if given_root else [f"{places.template}/layer", "/"], places.scratch)
        linux.setns(pause_fd, POD)
        roots.mount_proc_and_sys(read_only=True)
        roots.mount_devices(devices)
        for tree in trees:
            tree.attach()
        if spec.get("read_only_root", False):
            roots.make_read_only()
        env = program.environment(spec.get("env", {}), spec.get("uid", 0))
        program.enter_directory(spec.get("cwd", "/"))
        program.become_user(spec.get("uid", 0), spec.get("gid", 0))
        channel.hello()
        return lambda: _become(spec["argv"], env)

    return prepare


def _become(argv: Sequence[str], env: dict[str, str]) -> None:
    if argv[0] != echo.PROGRAM:
        program.execute(argv, env)
    linux.close_from(3)
    linux.set_title(" ".join(argv))
    echo.main(argv[1:], env)


def _pause(channel: Channel) -> Callable[[], None]:
    os.chdir("/")
    _to_null((0, 1))
    channel.hello()
    return lambda: program.execute(_PAUSE, {"PATH": program.PATH})


def _open_outputs(outputs: Sequence[str]) -> None:
    """Open the FIFOs both ways: with no reader alive a write waits, and kills nobody."""
    _to_null((0,))
    for number, path in zip((1, 2), outputs, strict=True):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(fd, number)
        os.close(fd)


def _to_null(numbers: Sequence[int]) -> None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


def _set_ipv6(wanted: bool) -> None:
    if wanted or not os.path.exists("/proc/sys/net/ipv6"):
        return
    for scope in ("all", "default"):
        _write(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")


def _open_low_ports() -> None:
    """As containerd has it: ports below 1024 and ping need no privilege in a pod."""
    _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    _write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
