"""The user's terminal is joined to the terminal of a program in a pod or on a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator

from fabric.runtime.contract import ExecSession

READ_BYTES = 1 << 16
_DRAIN_SECONDS_MAX = 1.0


async def join(session: ExecSession) -> int:
    """Pass bytes and window sizes both ways until the program ends; return its exit code.

    BrokenPipeError when nobody reads what it says any more.
    """
    loop = asyncio.get_running_loop()
    master = session.terminal
    if master is None:
        return await session.wait()

    def resized() -> None:
        # The terminal's own: what LINES and COLUMNS say does not change with it.
        resizes.append(asyncio.ensure_future(session.resize(*termios.tcgetwinsize(sys.stdin))))

    resizes: list[asyncio.Future[None]] = []
    resized()
    loop.add_signal_handler(signal.SIGWINCH, resized)
    os.set_blocking(master, False)  # a program that reads nothing must not hold what it says
    keys, output = _Flow(sys.stdin.fileno(), master), _Flow(master, sys.stdout.fileno())
    with _raw(sys.stdin.fileno()):
        ended = asyncio.ensure_future(session.wait())
        output.start()
        keys.start()
        try:
            await asyncio.wait((ended, output.ended), return_when=asyncio.FIRST_COMPLETED)
            if output.is_refused:
                raise BrokenPipeError
            code = await ended
            await asyncio.wait((output.ended,), timeout=_DRAIN_SECONDS_MAX)
        finally:
            ended.cancel()
            keys.stop()
            output.stop()
            loop.remove_signal_handler(signal.SIGWINCH)
    return code


class _Flow:
    """Bytes flow from one file to another; while that takes none, none are read."""

    def __init__(self, source: int, target: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._source, self._target = source, target
        self._waiting = memoryview(b"")
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when there is no more to read, or nobody who takes it."""
        self.is_refused = False

    def start(self) -> None:
        self._loop.add_reader(self._source, self._read)

    def stop(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._target)
        if not self.ended.done():
            self.ended.set_result(None)

    def _read(self) -> None:
        """Take what there is; a terminal whose program is gone reads as an error."""
        try:
            chunk = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.stop()
            return
        self._waiting = memoryview(chunk)
        self._write()

    def _write(self) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._target, self._waiting) :]
        except BlockingIOError:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._target, self._write)
            return
        except OSError:
            self.is_refused = True
            self.stop()
            return
        self._loop.remove_writer(self._target)
        self._loop.add_reader(self._source, self._read)


@contextlib.contextmanager
def _raw(file: int) -> Iterator[None]:
    """Keys go to the program as they are typed, while the body runs."""
    if not os.isatty(file):
        yield
        return
    before = termios.tcgetattr(file)
    tty.setraw(file, termios.TCSADRAIN)  # what was typed before is kept
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
