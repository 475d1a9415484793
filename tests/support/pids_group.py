"""A cgroup that limits the number of processes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def pids_group() -> Iterator[Path]:
    """A cgroup that limits processes, in either version of cgroups."""
    parents = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    parent = next((path for path in parents if (path / "cgroup.procs").exists()), None)
    if parent is None or (
        parent.name != "pids" and "pids" not in (parent / "cgroup.subtree_control").read_text()
    ):
        pytest.skip("this machine has no pids controller for cgroups below its root")
    group = parent / f"fabric-test-{uuid.uuid4().hex[:12]}"
    group.mkdir()
    try:
        yield group
    finally:
        for process in (group / "cgroup.procs").read_text().split():
            (parent / "cgroup.procs").write_text(process)
        group.rmdir()
