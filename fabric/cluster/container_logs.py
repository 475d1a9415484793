"""A container's log is read: lines of the CRI format become what the container wrote."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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

    A restarted container begins a new file, and so does a log that is full: the reader goes over to it when
    the old one is read.
    """
    path = newest(folder)
    file = _opened(path)
    try:
        while True:
            last_look = ended() if follow else True
            latest = _next(path, newest(folder), file)
            if file is not None:
                yield from _whole_lines(file)
            if latest is not None:
                if file is not None:
                    file.close()
                path, file = latest, _opened(latest)
            elif last_look:
                return
            else:
                time.sleep(FOLLOW_SECONDS)
    finally:
        if file is not None:
            file.close()


def _whole_lines(file: BinaryIO) -> Iterator[Entry]:
    while (raw := file.readline()).endswith(b"\n"):
        yield parse(raw.decode(errors="replace").rstrip("\n"))
    file.seek(-len(raw), os.SEEK_CUR)


def _opened(path: Path | None) -> BinaryIO | None:
    try:
        return path.open("rb") if path is not None else None
    except FileNotFoundError:
        return None


def _next(path: Path | None, latest: Path | None, file: BinaryIO | None) -> Path | None:
    """Return the log that takes the place of the one that is open, or None; an older one never does."""
    if latest is None or (path is not None and int(latest.stem) < int(path.stem)):
        return None
    try:
        is_open = file is not None and os.path.samestat(latest.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return None
    return None if is_open else latest
