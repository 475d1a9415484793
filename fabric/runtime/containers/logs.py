"""A container's output goes from its two FIFOs into a log file in CRI's format.

A line is `2026-11-23T05:00:00.123456789Z stdout F text`; one longer than 16 KiB, or without an end
when the output ends, is cut into parts marked P. A log of 10 MiB becomes `<log>.20261123-050000`, as the
kubelet names it (containerLogMaxSize, containerLogMaxFiles), but is not compressed. The FIFOs hold what is
not yet read, so a runtime that was killed goes on where it was.
"""

from __future__ import annotations

import os
import time

LINE_BYTES_MAX = 16 * 1024
LOG_BYTES_MAX = 10 * 1024 * 1024
LOG_FILES_MAX = 5
"""With the one that is being written."""
_READ_BYTES_MAX = 64 * 1024
_LAST_READS_MAX = 32
"""More than a FIFO holds; what writes on after its container ended is not waited for."""
STREAMS = ("stdout", "stderr")


class LogFile:
    """The log of one container, opened at its first line; without a path all is dropped."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._size = 0

    def write(self, lines: bytes) -> None:
        """Append; what cannot be written (a full disk) is lost, and the container goes on."""
        if not self._path:
            return
        try:
            if self._fd < 0:
                self._open()
            self._size += os.write(self._fd, lines)
            if self._size >= LOG_BYTES_MAX:
                self._rotate()
        except OSError:
            self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self._fd = open_to_append(self._path)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """Put the file aside; one that is full within a second of the one before grows until that is over."""
        name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        if os.path.exists(f"{self._path}.{name}"):
            return
        self.close()
        os.replace(self._path, f"{self._path}.{name}")
        for path in rotated(self._path)[: 1 - LOG_FILES_MAX]:
            os.unlink(path)


class Output:
    """A FIFO of a container, and the line that is not yet whole."""

    def __init__(self, fifo: str, stream: str, log: LogFile) -> None:
        self.fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._mark = stream.encode()
        self._log = log
        self._held = b""

    def read(self) -> bool:
        """Move one read's worth into the log; False when there is nothing more for now."""
        try:
            data = os.read(self.fd, _READ_BYTES_MAX)
        except BlockingIOError:
            return False
        if not data:
            return False
        lines, self._held = cut(self._held + data)
        if lines:
            self._log.write(_stamp(lines, self._mark))
        return True

    def close(self) -> None:
        """Read to the end and let go."""
        for _ in range(_LAST_READS_MAX):
            if not self.read():
                break
        if self._held:
            self._log.write(_stamp([(b"P", self._held)], self._mark))
        os.close(self.fd)


def rotated(path: str) -> list[str]:
    """Return the paths of a log's files that were put aside, the oldest first."""
    folder, name = os.path.split(path)
    return sorted(f"{folder}/{entry}" for entry in os.listdir(folder) if entry.startswith(f"{name}."))


def open_to_append(path: str) -> int:
    """Return a descriptor that writes at the end of a file, which is made where it is not there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def shorten(path: str) -> None:
    """Move what is in a log of 10 MiB to `<log>.1`, while a program holds it open to append.

    What the program writes between the copy and the cut is lost.
    """
    try:
        if not path or os.stat(path).st_size < LOG_BYTES_MAX:
            return
        with open(path, "r+b") as log, open(f"{path}.1", "wb") as kept:
            while os.sendfile(kept.fileno(), log.fileno(), None, LOG_BYTES_MAX):
                pass
            log.truncate(0)
    except OSError:
        return  # A full disk, or a node whose files are being removed.


def cut(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return whole lines marked F, parts of long ones marked P, and what is left over."""
    *whole, rest = data.split(b"\n")
    lines = []
    for line in whole:
        *parts, last = _parts(line)
        lines += [(b"P", part) for part in parts] + [(b"F", last)]
    *parts, rest = _parts(rest)
    return lines + [(b"P", part) for part in parts], rest


def _parts(line: bytes) -> list[bytes]:
    return [line[i : i + LINE_BYTES_MAX] for i in range(0, len(line), LINE_BYTES_MAX)] or [b""]


def _stamp(lines: list[tuple[bytes, bytes]], stream: bytes) -> bytes:
    head = timestamp(time.time_ns()).encode() + b" " + stream + b" "
    return b"".join(head + mark + b" " + line + b"\n" for mark, line in lines)


def timestamp(nanoseconds: int) -> str:
    """Return RFC3339Nano in UTC, with all nine digits."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
