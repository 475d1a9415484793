"""A disk of a few bytes in a mount namespace of its own, to be filled and freed by a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """A mount namespace in which `folder` is a file system of its own, and a small one."""

    def __init__(self, folder: Path, pid: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.enter = ("nsenter", f"--mount=/proc/{pid}/ns/mnt")
        self.environment = os.environ | environment
        self._filler = Path(f"/proc/{pid}/root{folder}/filler")

    def run(self, *argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the namespace, to its end."""
        return subprocess.run(
            [*self.enter, *argv],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def fill(self) -> None:
        """Take all the room that is left, to the last page."""
        with contextlib.suppress(OSError), self._filler.open("wb", 0) as file:
            while file.write(bytes(1 << 12)):
                continue

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path, size: str, environment: Mapping[str, str] | None = None) -> Iterator[SmallDisk]:
    """Mount a tmpfs of that size at `folder`, in a namespace that ends with the block."""
    with subprocess.Popen(["unshare", "-m", "sh", "-c", "echo; exec sleep 1000"], stdout=-1) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            disk = SmallDisk(folder, holder.pid, environment or {})
            made = disk.run("sh", "-ec", f"mkdir -p {folder}; mount -t tmpfs -o size={size} none {folder}")
            assert made.returncode == 0, made.stderr
            yield disk
        finally:
            holder.kill()
