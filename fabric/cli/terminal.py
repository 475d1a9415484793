"""The user's terminal is joined to the terminal of a program in a pod or on a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator

from fabric.runtime.contract import ExecSession

READ_BYTES = 1 << 16
_DRAIN_SECONDS_MAX = 1.0


async def join(session: ExecSession) -> int:
    """Pass bytes and window sizes both ways until the program ends; return its exit code."""
    loop = asyncio.get_running_loop()
    master = session.terminal
    if master is None:
        return await session.wait()
    closed = asyncio.Event()

    def resized() -> None:
        size = shutil.get_terminal_size()
        resizes.append(asyncio.ensure_future(session.resize(size.lines, size.columns)))

    resizes: list[asyncio.Future[None]] = []
    resized()
    loop.add_signal_handler(signal.SIGWINCH, resized)
    loop.add_reader(master, _copy, master, sys.stdout.fileno(), closed)
    with _raw(sys.stdin.fileno()):
        loop.add_reader(sys.stdin.fileno(), _copy, sys.stdin.fileno(), master, asyncio.Event())
        try:
            code = await session.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), _DRAIN_SECONDS_MAX)
        finally:
            loop.remove_reader(sys.stdin.fileno())
            loop.remove_reader(master)
            loop.remove_signal_handler(signal.SIGWINCH)
    return code


def _copy(source: int, target: int, closed: asyncio.Event) -> None:
    """Move what there is; a terminal whose program is gone reads as an error, and is closed."""
    try:
        chunk = os.read(source, READ_BYTES)
    except OSError:
        chunk = b""
    if not chunk:
        asyncio.get_running_loop().remove_reader(source)
        closed.set()
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(target, view) :]


@contextlib.contextmanager
def _raw(file: int) -> Iterator[None]:
    """Keys go to the program as they are typed, while the body runs."""
    if not os.isatty(file):
        yield
        return
    before = termios.tcgetattr(file)
    tty.setraw(file)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
