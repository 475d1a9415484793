"""The root file system of a node or a container shows the host's programs, below a layer of its own.

overlayfs: writes go to a tmpfs that only this mount namespace has; the layers below are never written,
so the host's files cannot be changed through it. Sources of bind mounts are host paths, copied as
detached trees before the host's mount namespace is left. All functions work in a copy of the root template.
"""

from __future__ import annotations

import os
import stat

from fabric import folders
from fabric.runtime.namespaces import host_paths
from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.processes.process import Process

_UPPER_SIZE = "512m"
_SAFE = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


class Tree:
    """A mount that is not attached yet: a detached copy of `source`, or a tmpfs when there is none."""

    def __init__(self, mount: dict[str, Any], attributes: int = 0) -> None:
        self.target: str = mount["target"]
        self._attributes = attributes
        if mount.get("read_only", False):
            self._attributes |= linux.MOUNT_ATTR_RDONLY
        self._size: int = mount.get("size_bytes", 0)
        source: str | None = mount.get("source")
        self._fd = -1
        self._is_dir = True
        self._holds_machine = False
        if mount.get("of_node", False):
            source = host_paths.find(mount)
            self._holds_machine = source == "/"
            self._attributes |= linux.MOUNT_ATTR_RDONLY * host_paths.is_machine_wide(source)
        if source is not None:
            self._copy(source)

    def attach(self) -> None:
        """Mount it below the present root, making the mount point."""
        _make_point(self.target, is_dir=self._is_dir)
        if self._fd >= 0:
            linux.move_mount(self._fd, self.target)
            self.close()
            if self._holds_machine:
                host_paths.restrict_machine_wide(self.target)
            return
        flags = linux.MS_NOSUID | linux.MS_NODEV
        if self._attributes & linux.MOUNT_ATTR_RDONLY:
            flags |= linux.MS_RDONLY
        linux.mount("tmpfs", self.target, "tmpfs", flags, f"size={self._size}" if self._size else "mode=755")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _copy(self, source: str) -> None:
        try:
            self._is_dir = stat.S_ISDIR(os.stat(source).st_mode)
            self._fd = linux.open_tree(source, recursive=True)
        except OSError as error:
            raise Failure(f"mount {source} on {self.target}: {error.strerror}") from error
        if self._attributes:
            linux.restrict(self._fd, self._attributes)


class Trees:
    """Mounts that are not attached yet, attached shallow targets first; what is left is closed at the end."""

    def __init__(
        self, mounts: Iterable[dict[str, Any]], attributes: int = 0, node: Process | None = None
    ) -> None:
        """Mounts `of_node` are copied last, in the mount namespace of `node`, which is then the caller's."""
        self._trees: list[Tree] = []
        entered = False
        try:
            for mount in sorted(mounts, key=lambda mount: bool(mount.get("of_node"))):
                if node is not None and mount.get("of_node") and not entered:
                    linux.setns(node.fd, linux.CLONE_NEWNS)
                    entered = True
                self._trees.append(Tree(mount, attributes))
        except BaseException:
            self.close()
            raise

    def attach(self) -> None:
        for tree in sorted(self._trees, key=lambda tree: tree.target.rstrip("/").count("/")):
            tree.attach()

    def close(self) -> None:
        for tree in self._trees:
            tree.close()


def enter(template: RootTemplate, lowers: tuple[str, ...], *, suid: bool = False) -> None:
    """Make an overlay of directories of the template (top first) the root; the host's own mounts below it."""
    linux.mount("tmpfs", "/scratch", "tmpfs", linux.MS_NODEV, f"size={_UPPER_SIZE},mode=755")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/scratch/{name}")
    options = f"lowerdir={':'.join(lowers)},upperdir=/scratch/upper,workdir=/scratch/work"
    flags = linux.MS_NODEV | (0 if suid else linux.MS_NOSUID)
    linux.mount("overlay", "/scratch/root", "overlay", flags, options)
    if "/host" in lowers:
        for path in template.host_points:
            tree = linux.open_tree(f"/host{path}")
            linux.move_mount(tree, f"/scratch/root{path}")
            os.close(tree)
    linux.cover_root("/scratch/root")


def make_read_only() -> None:
    """Refuse writes to the root itself; mounts below it keep their own rule."""
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NODEV | linux.MS_NOSUID
    linux.mount("none", "/", "none", flags)


def mount_proc(proc: int) -> None:
    """Attach a detached /proc, or with -1 mount that of this process's own PID namespace."""
    _make_point("/proc", is_dir=True)
    if proc < 0:
        linux.mount("proc", "/proc", "proc", _SAFE)
    else:
        linux.move_mount(proc, "/proc")


def protect_proc() -> None:
    """Make what of /proc belongs to the whole machine read only."""
    for path in filter(os.path.exists, ("/proc/sys", "/proc/sysrq-trigger")):
        tree = linux.open_tree(path)
        linux.restrict(tree, linux.MOUNT_ATTR_RDONLY)
        linux.move_mount(tree, path)
        os.close(tree)


def mount_sys(*, read_only: bool) -> None:
    """Mount /sys of this network namespace."""
    _make_point("/sys", is_dir=True)
    linux.mount("sysfs", "/sys", "sysfs", _SAFE | (linux.MS_RDONLY if read_only else 0))


def mount_devices(devices: int) -> None:
    """Mount the template's /dev, read only, with terminals and shared memory of its own."""
    _make_point("/dev", is_dir=True)
    linux.restrict(devices, linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID)
    linux.move_mount(devices, "/dev")
    safe = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", "/dev/pts", "devpts", safe, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    linux.mount("tmpfs", "/dev/shm", "tmpfs", _SAFE, "size=64m,mode=1777")


def _make_point(target: str, *, is_dir: bool) -> None:
    if os.path.exists(target):
        return
    try:
        if is_dir:
            folders.make(target)
            return
        folders.make(os.path.dirname(target))
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise Failure(f"mount point {target}: {error.strerror}") from error
