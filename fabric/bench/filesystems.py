"""A cluster's folders are on file systems, of which one makes a benchmark slower with each run.

Linux' ext4 without a journal does not use an inode again in the first minutes after its deletion. Each new
file costs a walk over all of those (`recently_deleted` in fs/ext4/ialloc.c), which the runs before have left.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fabric.cluster.paths import run_root, state_root

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system that a folder is on, or will be when it is made."""

    folder: str
    type: str
    """As mount(8) has it: `ext4`, `tmpfs`."""
    source: str
    mount_point: str
    without_journal: bool = False
    """True for an ext4 that is known to have none."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.folder} on {self.type}{' without a journal' if self.without_journal else ''}"


def of_clusters() -> dict[str, FileSystem]:
    """Return the file systems of the folders for clusters' run and state files, as `run` and `state`."""
    return {"run": of(run_root()), "state": of(state_root())}


def of(folder: Path) -> FileSystem:
    """Return the file system of a folder; of the nearest one above it while it is not there."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    opened = os.open(there, os.O_PATH)
    try:
        told = dict(
            line.split(":\t", 1) for line in Path(f"/proc/self/fdinfo/{opened}").read_text().splitlines()
        )
    finally:
        os.close(opened)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        number, _, device, _, point = before.split(" ")[:5]
        if number == told["mnt_id"].strip():
            type_, source = map(_plain, after.split(" ")[:2])
            without = type_ == "ext4" and _has_no_journal(device)
            return FileSystem(str(folder), type_, source, _plain(point), without)
    return FileSystem(str(folder), "unknown", "", "")


def slow(found: dict[str, FileSystem]) -> str:
    """Say which folders make each run slower than the one before, and the remedy; empty when none does."""
    folders = [it.folder for it in found.values() if it.without_journal]
    if not folders:
        return ""
    are = "is" if len(folders) == 1 else "are"
    return (
        f"{' and '.join(folders)} {are} on an ext4 without a journal, where each run is slower than the one "
        "before: set FABRIC_RUN_DIR and FABRIC_STATE_DIR to folders of a tmpfs"
    )


def _has_no_journal(device: str) -> bool:
    """Whether ext4 writes this device (`254:0`) without a journal: it names no mode of one then."""
    try:
        name = (Path("/sys/dev/block") / device).resolve().name
        options = Path(f"/proc/fs/ext4/{name}/options").read_text().splitlines()
    except OSError:
        return False
    return not any(option.startswith("data=") for option in options)


def _plain(field: str) -> str:
    """A field of mountinfo, in which spaces, tabs, newlines and backslashes are octal numbers."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field)
