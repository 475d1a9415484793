"""A process that may outlive the runtime: known by pid and start time, watched by a pidfd."""

from __future__ import annotations

import os
import signal


def start_time(pid: int) -> str:
    """Return when it started, in clock ticks since boot; "" when there is no such process, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


class Process:
    """A living process, or one whose end is not yet taken note of."""

    __slots__ = ("fd", "pid", "start")

    def __init__(self, pid: int, start: str, fd: int) -> None:
        self.pid = pid
        self.start = start
        self.fd = fd
        """Its pidfd: readable when it has ended."""

    @classmethod
    def adopt(cls, pid: int, start: str) -> Process | None:
        """Return the process that a runtime before this one started, or None when it has ended."""
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return None
        if start_time(pid) != start:
            os.close(fd)
            return None
        return cls(pid, start, fd)

    @classmethod
    def born(cls, pid: int) -> Process:
        """Return a new child of the runtime's."""
        return cls(pid, start_time(pid), os.pidfd_open(pid))

    @classmethod
    def of(cls, fd: int) -> Process:
        """Return the living process of a pidfd."""
        with open(f"/proc/self/fdinfo/{fd}") as file:
            pid = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
        return cls(pid, start_time(pid), fd)

    def signal(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            pass

    def end(self) -> int | None:
        """Reap it and return its exit code, or minus its signal; None when another reaped it."""
        try:
            _, status = os.waitpid(self.pid, 0)
            code: int | None = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            code = None
        os.close(self.fd)
        self.fd = -1
        return code
