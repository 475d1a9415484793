"""Reading a container's log: CRI lines back to what the container wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLLOW_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a container's log, or a part of one that was too long."""

    time: str
    stream: str
    text: str
    whole: bool


def newest(folder: Path) -> Path | None:
    """The log of the container's last start, or None before the first."""
    files = [path for path in folder.glob("*.log") if path.stem.isdigit()]
    return max(files, key=lambda path: int(path.stem), default=None)


def parse(line: str) -> Entry:
    """Read `<RFC3339Nano> <stream> F|P <text>`."""
    moment, stream, tag, text = [*line.split(" ", 3), "", "", ""][:4]
    return Entry(moment, stream, text, whole=tag != "P")


def read(folder: Path, *, follow: bool, ended: Callable[[], bool]) -> Iterator[Entry]:
    """Yield the entries of the newest log; with `follow`, go on until `ended()` and all is read.

    A restarted container begins a new file: the reader goes over to it when the old one is read.
    """
    path = newest(folder)
    position = 0
    while True:
        last_look = ended() if follow else True
        if path is not None and path.exists():
            with path.open("rb") as file:
                file.seek(position)
                for raw in file:
                    if not raw.endswith(b"\n"):
                        break
                    position += len(raw)
                    yield parse(raw.decode(errors="replace").rstrip("\n"))
        latest = newest(folder)
        if latest != path:
            path, position = latest, 0
            continue
        if last_look:
            return
        time.sleep(FOLLOW_SECONDS)
