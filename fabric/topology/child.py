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
        with os.fdopen(writable, "wb") as answers:
            answers.write(work())
    finally:
        os._exit(0)


def _read(readable: int, pid: int, deadline: float, seconds_max: float) -> bytes:
    """Read up to the child's end; the session is gone afterwards, whatever happened."""
    answer = bytearray()
    pidfd = os.pidfd_open(pid)
    try:
        has_ended = False
        while not has_ended:
            ready, _, _ = select.select([readable, pidfd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise NoAnswer(f"it took longer than {seconds_max:g} s")
            # The end is looked at before the pipe, so that nothing written before it is missed.
            has_ended = pidfd in ready
            while select.select([readable], [], [], 0)[0] and (part := os.read(readable, 65536)):
                answer += part
                if len(answer) > ANSWER_BYTES_MAX:
                    raise NoAnswer(f"its answer is larger than {ANSWER_BYTES_MAX >> 20} MiB")
            has_ended = has_ended or (readable in ready and _ends_soon(pidfd, deadline))
    finally:
        _end(pid)
        os.close(pidfd)
    if not answer:
        raise NoAnswer(f"it ended early, or needed more than {MEMORY_MAX >> 20} MiB")
    return bytes(answer)


def _ends_soon(pidfd: int, deadline: float) -> bool:
    """Wait for a child that has closed its pipe; it has nothing more to say."""
    return bool(select.select([pidfd], [], [], max(0.0, min(0.05, deadline - time.monotonic())))[0])


def _end(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(pid, 0)
