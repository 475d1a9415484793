"""A pod's files on its node's disk: where they lie, what is left of gone pods, and how the disk says no.

Logs lie where CRI has them, volumes where the kubelet has them. A pod's directories carry its UID, so that
what belongs to no pod can be found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fabric import folders
from fabric.api.objects import Object, uid_of
from fabric.errors import FabricError, disk_refusals
from fabric.kubelet.config import KubeletConfig


@dataclass(frozen=True, slots=True)
class PodFiles:
    """The directories of one pod."""

    volumes: Path
    """Everything but logs: `volumes/`, `etc-hosts`, `hostname`, `resolv.conf`."""
    logs: Path

    @classmethod
    def of(cls, config: KubeletConfig, pod: Object) -> PodFiles:
        meta = pod["metadata"]
        logs = f"{meta['namespace']}_{meta['name']}_{uid_of(pod)}"
        return cls(config.pods_directory / uid_of(pod), config.logs_directory / logs)

    def log(self, container: str, restart_count: int) -> Path:
        return self.logs / container / f"{restart_count}.log"

    def remove_log(self, container: str, restart_count: int) -> None:
        """Remove the log of one start of a container, with what was put aside of it."""
        with disk_refusals(FabricError, f"log {restart_count} of container {container}"):
            for path in (self.logs / container).glob(f"{restart_count}.log*"):
                path.unlink(missing_ok=True)


def make_folder(path: str) -> bool:
    """Make a directory, and those above it where they are missing; return False when it was there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        os.mkdir(path)
    return True


def write_texts(folder: str, texts: Mapping[str, str]) -> None:
    """Write the files of a folder where they differ, in place: containers have them mounted.

    Plain calls, for it is done for each pod: pathlib takes longer than Linux.
    """
    is_fresh = make_folder(folder)
    for name, text in texts.items():
        data, path = text.encode(), f"{folder}/{name}"
        if is_fresh or _data(path) != data:
            _write(path, data)


def _data(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def uids_on_disk(config: KubeletConfig) -> frozenset[str]:
    """UIDs of the pods that have a directory on this node; FabricError when the disk cannot be read."""
    with disk_refusals(FabricError, f"pods of node {config.node_name} on disk"):
        volumes = {path.name for path in _children(config.pods_directory)}
        logs = {path.name.rpartition("_")[2] for path in _children(config.logs_directory)}
    return frozenset(volumes | logs)


def remove_files(config: KubeletConfig, uid: str) -> None:
    """Remove the directories of a pod that is gone; what is not there is no error."""
    with suppress(OSError):
        folders.remove(str(config.pods_directory / uid))
    with disk_refusals(FabricError, f"logs of pod {uid}"):
        for path in config.logs_directory.glob(f"*_{uid}"):
            with suppress(OSError):
                folders.remove(str(path))


def _children(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []
