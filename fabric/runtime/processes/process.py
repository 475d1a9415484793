"""A process of the runtime may outlive it: it is known by pid and start time, and watched by a pidfd."""

from __future__ import annotations

import fcntl
import os
import signal

_INFO_BYTES = 64
"""struct pidfd_info of Linux 6.13; its last word is the exit status."""
_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 3 << 30 | _INFO_BYTES << 16 | 0xFF << 8 | 11


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
        if not start:
            return None
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if start_time(pid) != start:
            os.close(fd)
            return None
        return cls(pid, start, fd)

    @classmethod
    def of_child(cls, pid: int) -> Process:
        """Return a new child of the runtime's; OSError, and no child, when there is no descriptor for it."""
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        try:
            return cls(pid, start_time(pid), fd)
        except OSError:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)
            raise

    @classmethod
    def of(cls, fd: int) -> Process:
        """Return the living process of a pidfd; OSError, and no process, when it cannot be looked at."""
        try:
            return cls(*_identity(fd), fd)
        except OSError:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
            raise

    def signal(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            pass

    def end(self) -> int | None:
        """Reap it and return its exit code, or minus its signal; None when the kernel no longer knows."""
        try:
            _, status = os.waitpid(self.pid, 0)
            code: int | None = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            code = _recorded_code(self.fd)
        os.close(self.fd)
        self.fd = -1
        return code

    def is_anothers_zombie(self) -> bool:
        """Whether it has ended as the child of a process that has not yet reaped it."""
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return os.path.exists(f"/proc/{self.pid}")
        return False


def _identity(fd: int) -> tuple[int, str]:
    """Return pid and start time of a pidfd's process."""
    with open(f"/proc/self/fdinfo/{fd}") as file:
        pid = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    return pid, start_time(pid)


def _recorded_code(fd: int) -> int | None:
    """Ask the kernel (since Linux 6.15) how a process ended that another has reaped."""
    info = bytearray(_INFO_BYTES)
    info[:8] = _INFO_EXIT.to_bytes(8, "little")
    try:
        fcntl.ioctl(fd, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    if not int.from_bytes(info[:8], "little") & _INFO_EXIT:
        return None
    return os.waitstatus_to_exitcode(int.from_bytes(info[_INFO_BYTES - 4 :], "little"))
