"""The root file system of a node or a container: the host's programs, below a layer of its own.

overlayfs: writes go to a tmpfs that only this mount namespace has; the layers below are read only, so the
host's file system cannot be written through it. A container has one more layer, the template, which hides
the host's private places (/root, /home, /tmp …) and is the same for all. Sources of bind mounts are
host paths, copied as detached trees before the old root is left behind.
"""

from __future__ import annotations

import os
import stat

from fabric.kernel.forkserver import linux
from fabric.kernel.forkserver.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

HIDDEN = ("root", "home", "mnt", "media", "srv", "boot")
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
_NOT_OF_THE_HOST = ("/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/media", "/boot", "/snap")
_UPPER_SIZE = "512m"


class Tree:
    """A bind mount on its way: a detached copy of `source`, or a tmpfs when there is none."""

    def __init__(self, mount: dict[str, Any]) -> None:
        self.target: str = mount["target"]
        self._read_only: bool = mount.get("read_only", False)
        self._size: int = mount.get("size_bytes", 0)
        source: str | None = mount.get("source")
        self._fd = -1
        self._is_dir = True
        if source is not None:
            self._copy(source)

    def attach(self) -> None:
        """Mount it below the present root, making the mount point."""
        _make_point(self.target, self._is_dir)
        if self._fd < 0:
            flags = linux.MS_NOSUID | linux.MS_NODEV | (linux.MS_RDONLY if self._read_only else 0)
            linux.mount("tmpfs", self.target, "tmpfs", flags, f"size={self._size}" if self._size else "")
            return
        linux.move_mount(self._fd, self.target)
        os.close(self._fd)

    def _copy(self, source: str) -> None:
        try:
            self._is_dir = stat.S_ISDIR(os.stat(source).st_mode)
            self._fd = linux.open_tree(source, recursive=True)
        except OSError as error:
            raise Failure(f"mount {source} on {self.target}: {error.strerror}") from error
        if self._read_only:
            linux.set_read_only(self._fd)


def trees(mounts: Iterable[dict[str, Any]]) -> list[Tree]:
    """Copy the sources of mounts, shallow targets first."""
    return sorted(map(Tree, mounts), key=lambda tree: tree.target.rstrip("/").count("/"))


def host_trees() -> list[Tree]:
    """Return read-only copies of what the host has mounted into its root, as a separate /usr."""
    return trees({"target": point, "source": point, "read_only": True} for point in _host_points())


def _host_points() -> list[str]:
    points = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            point = line.split()[4]
            if point != "/" and not any(f"{point}/".startswith(f"{known}/") for known in _NOT_OF_THE_HOST):
                points.append(point)
    return points


def enter(lowers: Sequence[str], scratch: str) -> None:
    """Leave the host's root for an overlay of `lowers` (top first), in this mount namespace only."""
    linux.mount("tmpfs", scratch, "tmpfs", linux.MS_NODEV, f"size={_UPPER_SIZE},mode=755")
    upper, work, root = (f"{scratch}/{name}" for name in ("upper", "work", "root"))
    for directory in (upper, work, root):
        os.mkdir(directory)
    layers = ":".join(lowers)
    options = f"lowerdir={layers},upperdir={upper},workdir={work}"
    linux.mount("overlay", root, "overlay", linux.MS_NODEV, options)
    linux.pivot_root(root)


def make_read_only() -> None:
    """Refuse writes to the root itself; mounts below it keep their own rule."""
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NODEV
    linux.mount("none", "/", "none", flags)


def mount_proc_and_sys(*, read_only: bool) -> None:
    """Mount /proc of this PID namespace and /sys of this network namespace."""
    for point in ("/proc", "/sys"):
        _make_point(point, is_dir=True)
    safe = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", "/proc", "proc", safe)
    linux.mount("sysfs", "/sys", "sysfs", safe | (linux.MS_RDONLY if read_only else 0))
    if not read_only:
        return
    for path in filter(os.path.exists, ("/proc/sys", "/proc/sysrq-trigger")):
        tree = linux.open_tree(path)
        linux.set_read_only(tree)
        linux.move_mount(tree, path)
        os.close(tree)


def mount_devices(devices: int) -> None:
    """Mount the template's /dev with terminals and shared memory of its own."""
    _make_point("/dev", is_dir=True)
    linux.move_mount(devices, "/dev")
    safe = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", "/dev/pts", "devpts", safe, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    linux.mount("tmpfs", "/dev/shm", "tmpfs", safe | linux.MS_NODEV, "size=64m,mode=1777")


def make_template(path: str) -> None:
    """Make the layer that all containers share, at `path`, in this mount namespace only."""
    linux.mount("tmpfs", path, "tmpfs", linux.MS_NOSUID, "size=1m,mode=755")
    layer = f"{path}/layer"
    os.mkdir(layer)
    for name in (*HIDDEN, "run", "var", *OPEN_TO_ALL):
        _hide(f"{layer}/{name}", opaque=name != "var")
    for name in OPEN_TO_ALL:
        os.chmod(f"{layer}/{name}", 0o1777)
    os.chmod(f"{layer}/root", 0o700)
    for name in ("proc", "sys", "dev"):
        os.mkdir(f"{layer}/{name}")
    _make_devices(f"{path}/dev")


def _hide(path: str, *, opaque: bool) -> None:
    os.makedirs(path, exist_ok=True)
    if opaque:
        os.setxattr(path, "trusted.overlay.opaque", b"y")


def _make_devices(path: str) -> None:
    os.mkdir(path)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(f"{path}/{name}", stat.S_IFCHR, os.makedev(major, minor))
        os.chmod(f"{path}/{name}", 0o666)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{path}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{path}/{name}")


def _make_point(target: str, is_dir: bool) -> None:
    if os.path.exists(target):
        return
    try:
        if is_dir:
            os.makedirs(target)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise Failure(f"mount point {target}: {error.strerror}") from error
