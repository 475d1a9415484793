"""Network namespaces for tests, each held by a child process, or a thread, that ends with the test.

A thread is had for a millisecond; a process takes ten to fork, and a hundred in a guest (`support.guest`).
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


def hold_namespace() -> int:
    """Fork a child that waits in a network namespace of its own; return its pid when it is there."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        ready = libc.unshare(_CLONE_NEWNET) == 0
        os.write(writable, b"y" if ready else b"n")
        while True:
            signal.pause()
    os.close(writable)
    answer = os.read(readable, 1)
    os.close(readable)
    if answer != b"y":
        release_namespace(pid)
        raise PermissionError("a network namespace needs root")
    return pid


def release_namespace(pid: int) -> None:
    """Kill the holder; Linux frees the namespace and all that is in it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@contextmanager
def namespaces(*names: str) -> Iterator[dict[str, int]]:
    """Yield the pids of fresh namespaces by name, as LinuxKernel wants them; free them at the end."""
    pids: dict[str, int] = {}
    try:
        for name in names:
            pids[name] = hold_namespace()
        yield pids
    finally:
        for pid in set(pids.values()):
            release_namespace(pid)


@contextmanager
def held_by_threads(*names: str) -> Iterator[dict[str, int]]:
    """Yield fresh namespaces as `namespaces` does, where nobody needs a process to kill or to move into."""
    with ExitStack() as held:
        yield {name: held.enter_context(_thread_in_namespace()) for name in names}


@contextmanager
def _thread_in_namespace() -> Iterator[int]:
    ended = threading.Event()
    there: queue.SimpleQueue[int] = queue.SimpleQueue()

    def hold() -> None:
        ready = ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0
        there.put(threading.get_native_id() if ready else 0)
        ended.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        tid = there.get()
        if not tid:
            raise PermissionError("a network namespace needs root")
        yield tid
    finally:
        ended.set()
        holder.join()


def run_inside(pid: int, *argv: str) -> str:
    """Run a command in the namespace of `pid`, as a stranger would; return what it prints."""
    command = ["nsenter", "-t", str(pid), "-n", *argv]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
