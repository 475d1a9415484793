"""The root template is a nearly empty mount namespace: roots are built in copies of it.

Its root is a tmpfs: `layer` (what nodes and containers have over the host's files), `devices` (their
/dev), `host` (the host's root and what is mounted into it, read only), `lower` and `scratch` (to mount on).
A copy costs a few mounts, so the runtime itself enters one, builds there, starts the program, and goes
back to its own namespaces; only then does it serve the next request.
"""

from __future__ import annotations

import os
import stat

from fabric.runtime.namespaces.own_namespaces import OwnNamespaces
from fabric.runtime.processes import linux

HIDDEN = ("root", "home", "mnt", "media", "srv", "boot", "run", "var/lib/fabric")
"""What of the machine neither nodes nor containers see: people's files, and those of all clusters."""
OPEN_TO_ALL = ("tmp", "var/tmp", "run/lock")
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_NOT_OF_THE_HOST = ("/proc", "/sys", "/dev", "/tmp", "/snap", *(f"/{path}" for path in HIDDEN))


class RootTemplate(OwnNamespaces):
    """The template, held by a descriptor; `with` it, the process is back in its own namespaces afterwards."""

    def __init__(self, point: str) -> None:
        super().__init__()
        self.host_points = _host_points()
        """What the host has mounted into its root, as a separate /usr."""
        self._bare = -1
        with self:
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
            self._bare = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            _build(point, self.host_points)
            linux.pivot_root(point)

    def enter_copy(self) -> None:
        """Enter a copy of the template that is this process's own."""
        linux.setns(self._bare, linux.CLONE_NEWNS)
        linux.unshare(linux.CLONE_NEWNS)


def _build(point: str, host_points: list[str]) -> None:
    host = linux.open_tree("/")
    below = [(path, linux.open_tree(path)) for path in host_points]
    linux.mount("tmpfs", point, "tmpfs", linux.MS_NOSUID, "size=1m,mode=755")
    for name in ("host", "lower", "scratch"):
        os.mkdir(f"{point}/{name}")
    linux.move_mount(host, f"{point}/host")
    os.close(host)
    for path, tree in below:
        linux.restrict(tree, linux.MOUNT_ATTR_RDONLY)
        linux.move_mount(tree, f"{point}/host{path}")
        os.close(tree)
    _make_layer(f"{point}/layer")
    _make_devices(f"{point}/devices")


def _host_points() -> list[str]:
    points = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            point = line.split()[4]
            if point != "/" and not any(f"{point}/".startswith(f"{known}/") for known in _NOT_OF_THE_HOST):
                points.append(point)
    return points


def _make_layer(path: str) -> None:
    os.mkdir(path)
    for name in (*HIDDEN, *OPEN_TO_ALL):
        os.makedirs(f"{path}/{name}", exist_ok=True)
        os.setxattr(f"{path}/{name}", "trusted.overlay.opaque", b"y")
    for name in OPEN_TO_ALL:
        os.chmod(f"{path}/{name}", 0o1777)
    os.chmod(f"{path}/root", 0o700)
    for name in ("proc", "sys", "dev"):
        os.mkdir(f"{path}/{name}")


def _make_devices(path: str) -> None:
    os.mkdir(path)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(f"{path}/{name}", stat.S_IFCHR, os.makedev(major, minor))
        os.chmod(f"{path}/{name}", 0o666)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{path}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{path}/{name}")
