"""The records are the runtime's memory: one small JSON file a node, daemon, sandbox or container.

A record is replaced in one step, before its process runs and after it ended, so that a runtime that was
killed finds all that it must adopt.
"""

from __future__ import annotations

import errno
import json
import os

from fabric.runtime.processes import linux
from fabric.runtime.processes.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

KINDS = ("nodes", "daemons", "sandboxes", "containers")


class Records:
    """A directory that one runtime at a time works on."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        for kind in KINDS:
            os.makedirs(f"{directory}/{kind}", mode=0o700, exist_ok=True)

    def check(self, key: str) -> None:
        """Failure when a name or id cannot be that of a record."""
        self._path("", key)

    def write(self, kind: str, key: str, record: Record) -> None:
        """Write a record, or leave the one before; OSError when the disk does not take it."""
        path = self._path(kind, key)
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            data = json.dumps(record).encode()
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            os.rename(f"{path}.new", path)
        except OSError:
            os.unlink(f"{path}.new")
            raise
        finally:
            os.close(fd)

    def remove(self, kind: str, key: str) -> None:
        try:
            os.unlink(self._path(kind, key))
        except FileNotFoundError:
            pass

    def read(self, kind: str) -> list[Record]:
        """Return all records of a kind, oldest first."""
        paths = [e.path for e in os.scandir(f"{self._directory}/{kind}") if e.name.endswith(".json")]
        records = []
        for path in sorted(paths, key=os.path.getmtime):
            try:
                with open(path) as file:
                    records.append(json.load(file))
            except ValueError:
                os.unlink(path)  # Not whole: the machine lost its power. Its process is ended as an orphan.
        return records

    def unnamed(self) -> list[str]:
        """Return the FIFOs of processes that no record names."""
        paths = [entry.path for kind in KINDS for entry in os.scandir(f"{self._directory}/{kind}")]
        records = {path.removesuffix(".json") for path in paths if path.endswith(".json")}
        named = {f"{record}{end}" for record in records for end in (".json", ".out", ".err")}
        return [path for path in paths if path not in named and not path.endswith(".new")]

    def open_mark(self) -> int:
        """Return the standard input of processes without FIFOs: an empty file that nobody can write."""
        path = self.mark_path
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        tree = linux.open_tree(path)
        try:
            linux.restrict(tree, linux.MOUNT_ATTR_RDONLY)
            return os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(tree)

    @property
    def mark_path(self) -> str:
        return f"{self._directory}/mark"

    def named(self) -> set[tuple[int, str]]:
        """Return pid and start time of every process that a record names."""
        records = [record for kind in KINDS for record in self.read(kind)]
        records += [record["exec_holder"] for record in records if record.get("exec_holder")]
        return {(record["pid"], record["start"]) for record in records}

    def make_fifos(self, key: str) -> tuple[str, str]:
        """Make a container's FIFOs for stdout and stderr, or find them."""
        paths = self.fifos(key)
        for path in paths:
            try:
                os.mkfifo(path, 0o600)
            except FileExistsError:
                pass
        return paths

    def fifos(self, key: str) -> tuple[str, str]:
        path = self._path("containers", key).removesuffix(".json")
        return f"{path}.out", f"{path}.err"

    def remove_fifos(self, key: str) -> None:
        for path in self.fifos(key):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass

    def _path(self, kind: str, key: str) -> str:
        if not key or "/" in key or key.startswith("."):
            raise Failure(f"{key!r} cannot be a name or id: it must not be empty, hold '/' or begin with '.'")
        return f"{self._directory}/{kind}/{key}.json"
