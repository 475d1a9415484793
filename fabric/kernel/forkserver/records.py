"""The runtime's memory: one small JSON file a node, sandbox or container, replaced in one step.

A record is written before its process runs and after it ended, so a runtime that was killed finds all
that it must adopt.
"""

from __future__ import annotations

import json
import os

from fabric.kernel.forkserver.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

KINDS = ("nodes", "sandboxes", "containers")


class Mark:
    """A file that a process has open while no record names it, so that it can be found."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> int:
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.unlink(self._path)


class Records:
    """A directory that one runtime at a time works on."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        for kind in KINDS:
            os.makedirs(f"{directory}/{kind}", mode=0o700, exist_ok=True)

    def write(self, kind: str, key: str, record: Record) -> None:
        path = self._path(kind, key)
        with open(f"{path}.new", "w") as file:
            json.dump(record, file)
        os.replace(f"{path}.new", path)

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
            with open(path) as file:
                records.append(json.load(file))
        return records

    def unnamed(self) -> list[str]:
        """Return the marks and FIFOs of processes that no record names."""
        paths = [entry.path for kind in KINDS for entry in os.scandir(f"{self._directory}/{kind}")]
        records = {path.removesuffix(".json") for path in paths if path.endswith(".json")}
        named = {f"{record}{end}" for record in records for end in (".json", ".out", ".err", ".mark")}
        return [path for path in paths if path not in named and not path.endswith(".new")]

    def mark(self, kind: str, key: str) -> Mark:
        """Return a mark for a process that no record names yet."""
        return Mark(self._path(kind, key).removesuffix(".json") + ".mark")

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
