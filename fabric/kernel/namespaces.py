"""Entering a network namespace: for the time of a `with`, and only for the calling thread.

A socket keeps the namespace it was opened in, and a program that is spawned inherits that of the thread
which spawns it; so a short visit is enough, and every other thread stays where it is. A thread that could
not come home would do its next work in a wrong namespace: that ends the process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Run the body in the network namespace of process `pid`; OSError when that process is gone."""
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            try:
                yield
            finally:
                _return_to(home)
        finally:
            os.close(home)
    finally:
        os.close(there)


@contextmanager
def inside_a_new_one() -> Iterator[None]:
    """Run the body in a namespace that is made for it, and lives on in the sockets that are opened there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        try:
            yield
        finally:
            _return_to(home)
    finally:
        os.close(home)


@contextmanager
def travelling() -> Iterator[Callable[[int], None]]:
    """Give the body a function that moves this thread into an open namespace; at its end it comes home.

    It costs one system call a move, where `inside` takes six for its way there and back.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            yield _setns
        finally:
            _return_to(home)
    finally:
        os.close(home)


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _return_to(home: int) -> None:
    try:
        _setns(home)
    except OSError:
        os.abort()
