"""A user at a terminal: types, sees what is printed, and learns how the program ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from support.clusters import TOP


class Terminal:
    """A user at a terminal."""

    def __init__(self, *argv: str) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(TOP)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(argv[0], argv)
        self._said = ""

    def sees(self, text: str, seconds_max: float = 60) -> None:
        """Wait until that is there, and forget all up to it."""
        deadline = time.monotonic() + seconds_max
        while text not in self._said:
            assert time.monotonic() < deadline, f"no {text!r} in {self._said!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._said += os.read(self._master, 4096).decode(errors="replace")
        self._said = self._said.partition(text)[2]

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resizes(self, rows: int, columns: int) -> None:
        """Make the window another size; Linux tells the program."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def takes_each_key(self) -> bool:
        """Whether keys go to the program as they are typed, and are not shown (raw mode)."""
        local = termios.tcgetattr(self._master)[3]
        return not local & (termios.ICANON | termios.ECHO | termios.ISIG)

    def end(self, seconds_max: float = 60) -> int:
        """Read to the end, and return the exit code; what does not end is killed."""
        with contextlib.suppress(OSError):
            while select.select([self._master], [], [], seconds_max)[0]:
                os.read(self._master, 4096)
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
