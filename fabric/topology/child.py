"""A child process computes one answer within bounded time, memory and size.

Graph generators and users' Python files run in one: whatever they do (endless loops, `sys.exit`, gigabytes),
what comes back is bytes or the reason why there are none.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

SECONDS_MAX = 5.0
MEMORY_MAX = 256 << 20
"""Bytes of address space that the child may use beyond what its parent has."""
ANSWER_BYTES_MAX = 16 << 20
_SIZE_BYTES = 8
"""The answer's size stands before it, so that one which was cut off, or written into, is none."""


class NoAnswer(Exception):
    """The child ended without an answer; the message says how."""


def answer_of(work: Callable[[], bytes], *, seconds_max: float = SECONDS_MAX) -> bytes:
    """Return what `work` returns in a forked child; NoAnswer when it ends otherwise or takes too long.

    The child has a session of its own, which is killed as a whole; what it prints goes to standard error.
    """
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work(work, writable)
    os.close(writable)
    try:
        return _read(readable, pid, time.monotonic() + seconds_max, seconds_max)
    finally:
        os.close(readable)


def _work(work: Callable[[], bytes], writable: int) -> None:
    """Run in the child, and never return."""
    try:
        os.setsid()
        faulthandler.disable()
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_MAX,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        answer = work()
        with os.fdopen(writable, "wb") as answers:
            answers.write(len(answer).to_bytes(_SIZE_BYTES))
            answers.write(answer)
    finally:
        os._exit(0)


def _read(readable: int, pid: int, deadline: float, seconds_max: float) -> bytes:
    """Read up to the child's end; the session is gone afterwards, whatever happened."""
    said = bytearray()
    is_open = True
    pidfd = os.pidfd_open(pid)
    try:
        has_ended = False
        while is_open and not has_ended:
            ready, _, _ = select.select([readable, pidfd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise NoAnswer(f"it took longer than {seconds_max:g} s")
            # The end is looked at before the pipe, so that nothing written before it is missed. The pipe may
            # stay open after it, in a process that the child started.
            has_ended = pidfd in ready
            while is_open and select.select([readable], [], [], 0)[0]:
                part = os.read(readable, 65536)
                is_open = bool(part)
                said += part
                if len(said) > ANSWER_BYTES_MAX:
                    raise NoAnswer(f"its answer is larger than {ANSWER_BYTES_MAX >> 20} MiB")
        answer = said[_SIZE_BYTES:]
        if len(said) < _SIZE_BYTES or len(answer) != int.from_bytes(said[:_SIZE_BYTES]):
            # Linux closes a dying process' files a moment before it tells of its end.
            select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
            raise NoAnswer(f"it ended early{_by_signal(pid)}, or needed more than {MEMORY_MAX >> 20} MiB")
        return bytes(answer)
    finally:
        _end(pid)
        os.close(pidfd)


def _by_signal(pid: int) -> str:
    """Say which signal ended a child that is not reaped yet; empty when none did."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    was_signalled = found is not None and found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
    return f" by {signal.Signals(found.si_status).name}" if found and was_signalled else ""


def _end(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(pid, 0)
