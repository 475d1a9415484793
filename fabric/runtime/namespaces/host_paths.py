"""A pod's hostPath volumes are paths of its node, looked at and made where the node's own programs see them.

The root of every look-up is the node's, so that neither a symbolic link nor `..` leads to the machine's
files. What the node does not have privately is the machine's programs, below the node's own layer.
"""

from __future__ import annotations

import os
import stat

from fabric import folders
from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.processes.process import Process

_TYPES = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}
_MACHINE_WIDE = ("/proc", "/sys", "/dev")
"""What of a node's root is the machine's: a pod may read it."""


def prepare(template: RootTemplate, node: Process, path: str, kind: str) -> None:
    """Check a hostPath of a type, and make it where the type says so; Failure reads like the kubelet's."""
    with template:
        linux.setns(node.fd, linux.CLONE_NEWNS)
        try:
            _make(path, kind)
        except OSError as error:
            raise Failure(f"hostPath {path} cannot be made on the node: {error.strerror}") from error
        wanted, noun = _TYPES.get(kind, (None, ""))
        if wanted is not None and not wanted(_mode(path)):
            raise Failure(f"hostPath type check failed: {path} is not {noun}")


def find(mount: dict[str, Any]) -> str:
    """Return the real path of a volume on the node, or of a `sub_path` in it, which is made where missing.

    The caller stands in the node's mount namespace. Failure when the sub-path leads out of the volume.
    """
    volume = folders.real_path(mount["source"])
    sub_path = mount.get("sub_path", "")
    if not sub_path:
        return volume
    path = folders.real_path(f"{volume}/{sub_path}")
    if path != volume and not path.startswith(f"{volume.rstrip('/')}/"):
        raise Failure(f"subPath {sub_path} leads out of its volume {mount['source']}")
    if not os.path.exists(path):
        folders.make(path)
    return path


def is_machine_wide(path: str) -> bool:
    return any(f"{path}/".startswith(f"{known}/") for known in _MACHINE_WIDE)


def restrict_machine_wide(target: str) -> None:
    """Make read only what of a node's root, mounted at `target`, is the machine's."""
    for path in _MACHINE_WIDE:
        fd = os.open(f"{target.rstrip('/')}{path}", os.O_PATH | os.O_CLOEXEC)
        try:
            linux.restrict(fd, linux.MOUNT_ATTR_RDONLY)
        finally:
            os.close(fd)


def _make(path: str, kind: str) -> None:
    if os.path.exists(path):
        return
    if kind in ("", "DirectoryOrCreate"):
        folders.make(path, 0o755)
    elif kind == "FileOrCreate":
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0
