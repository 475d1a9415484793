"""The shared root is one mount namespace for all containers that run only the pause program.

Its root is a tmpfs that holds this one program and is read only, so that nothing of the host or of
another pod can be seen or written from it. Such a container costs no mount; what a program beside it needs
(`exec`) is built when the first one is asked for.
"""

from __future__ import annotations

import os

from fabric.runtime.namespaces.node_init import PAUSE
from fabric.runtime.processes import linux, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate

_ELF, _NEEDS_LOADER = b"\x7fELF", 3
_FOR_THE_PROGRAM = frozenset(("PATH", "CATATONIT_DEBUG"))
"""Variables that change which program runs, or let it write."""


class SharedRoot:
    """The shared root: `fits` says which containers may `enter` it."""

    def __init__(self, template: RootTemplate, point: str) -> None:
        path = program.find(PAUSE[0], {})
        self._namespace = -1
        if os.path.isfile(path) and is_static(path):
            with template:
                linux.unshare(linux.CLONE_NEWNS)
                linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
                _build(point, path)
                self._namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
                linux.pivot_root(point)

    def fits(self, spec: dict[str, Any]) -> bool:
        """True for a pause program that would not notice: nothing but files in /etc is mounted for it."""
        return (
            self._namespace >= 0
            and spec["argv"] == PAUSE
            and not spec.get("root")
            and spec.get("cwd", "/") == "/"
            and _FOR_THE_PROGRAM.isdisjoint(spec.get("env", {}))
            and all(map(_is_plain, spec.get("mounts", ())))
        )

    def enter(self) -> None:
        linux.setns(self._namespace, linux.CLONE_NEWNS)


def is_static(path: str) -> bool:
    """True for an ELF program of 64 bits that needs no loader, and so no other file."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != _ELF + b"\x02":
            return False
        order = "little" if head[5] == 1 else "big"
        offset, size, count = (
            int.from_bytes(head[start:end], order)  # type: ignore[arg-type]
            for start, end in ((32, 40), (54, 56), (56, 58))
        )
        file.seek(offset)
        table = file.read(size * count)
    kinds = {int.from_bytes(table[at : at + 4], order) for at in range(0, len(table), size)}  # type: ignore[arg-type]
    return _NEEDS_LOADER not in kinds


def _is_plain(mount: dict[str, Any]) -> bool:
    source = mount.get("source")
    return (
        source is not None
        and not mount.get("of_node")
        and os.path.dirname(mount["target"]) == "/etc"
        and os.path.isfile(source)
    )


def _build(point: str, path: str) -> None:
    file = linux.open_tree(path)
    linux.restrict(file, linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV)
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", point, "tmpfs", flags, "size=64k,mode=755")
    place = f"{point}{path}"
    os.makedirs(os.path.dirname(place))
    os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755))
    linux.mount("none", point, "none", flags | linux.MS_REMOUNT | linux.MS_RDONLY)
    linux.move_mount(file, place)
    os.close(file)
