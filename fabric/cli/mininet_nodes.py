"""Mininet's nodes, ports and cables, over a running cluster.

A command runs in a shell of that host's or pod's, started when it is first used, and again after it ended
(by `exit`, or with its pod). The shell's prompt, drawn anew for each, is how a command's end is known; a
command is handed to `eval`, so that an open quote is an error, and nothing that the shell waits for.
"""

from __future__ import annotations

import codecs
import os
import secrets
import select
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mininet.node import Node

from fabric.errors import FabricError

COMMAND_BYTES_MAX = 3900
"""A terminal takes 4,095 bytes a line (n_tty(4)), and silently drops what is more."""
READ_BYTES = 1 << 16
WRITE_SECONDS_MAX = 1.0
INTERRUPT = "\x03"


class Shell(Protocol):
    """A shell that the cluster started."""

    terminal: int
    """The master end of its terminal."""

    def end(self) -> int:
        """End it if it still runs, and return its exit code."""
        ...


Start = Callable[[tuple[str, ...]], Shell]


class Port:
    """An interface, as Mininet's `Intf` is read."""

    def __init__(self, node: Shelled, name: str, ip: str = "") -> None:
        self.node, self.device, self.ip = node, name, ip
        self.name = f"{node.name}-{name}"
        self.link: Cable | None = None

    def IP(self) -> str | None:
        return self.ip or None

    updateIP = IP

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Cable:
    """A link, as Mininet's `Link` is read."""

    intf1: Port
    intf2: Port
    up: bool

    def status(self) -> str:
        return "(OK OK)" if self.up else "(DOWN DOWN)"

    def __str__(self) -> str:
        return f"{self.intf1}<->{self.intf2}"


class ShellEnded(FabricError):
    """A node's shell is gone: it was told to exit, or its pod has ended."""

    def __init__(self, node: str, code: int, said: str) -> None:
        super().__init__(f"*** {node}: its shell has ended with {code}; the next command starts another")
        self.code = code
        self.said = said
        """Its last words."""


class Shelled(Node):  # type: ignore[misc]
    """A Mininet node whose shell the cluster starts."""

    shell: Shell | None

    def __init__(self, name: str, pid: int, start: Start) -> None:
        self._start = start
        super().__init__(name)
        self.pid = pid
        self.has_input = False
        """Whether commands read what the user types; they read nothing otherwise."""
        self._held = ""

    @classmethod
    def checkSetup(cls) -> None:
        """Mininet's own tools are not needed."""

    def startShell(self, mnopts: str | None = None) -> None:
        """Only when the first command comes: a cluster may have a thousand pods."""

    def add(self, device: str, ip: str = "") -> Port:
        """Give it an interface; the first is the one whose address it is known by."""
        port = Port(self, device, ip)
        self.ports[port] = len(self.intfs)
        self.intfs[len(self.intfs)] = port
        self.nameToIntf[port.name] = port
        return port

    def sendCmd(self, *args: Any, **_kwargs: Any) -> None:
        """Hand a command to the shell; `monitor` reads what it says until `waiting` is False."""
        words = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        command = " ".join(map(str, words))
        line = f"eval {shlex.quote(command)}" + ("" if self.has_input else " </dev/null") + "\n"
        if len(line.encode()) > COMMAND_BYTES_MAX:
            what = f"*** a command of {len(line.encode())} bytes; a terminal's line has {COMMAND_BYTES_MAX}"
            raise FabricError(what)
        self._open()
        self.write(line)
        self.lastCmd, self.waiting = command, True

    def cmd(self, *args: Any, **_kwargs: Any) -> str:
        """Run a command without input to its end, and return what it said."""
        self.has_input = False
        self.sendCmd(*args)
        said: str = self.waitOutput()
        return said

    def monitor(self, timeoutms: int | None = None, findPid: bool = True) -> str:
        """Return what the command has said since, "" when nothing comes in time; ShellEnded when all ends."""
        if not self.pollOut.poll(timeoutms):
            return ""
        self._held += self._received()
        said, prompt, _ = self._held.partition(self._prompt)
        if prompt:
            self.waiting, self._held = False, ""
            return said
        kept = next(n for n in reversed(range(len(self._prompt))) if said.endswith(self._prompt[:n]))
        self._held = said[len(said) - kept :]
        return said[: len(said) - kept]

    def write(self, data: str | bytes) -> None:
        """Type something; FabricError when the program takes nothing in, and the terminal is full."""
        left = data.encode() if isinstance(data, str) else data
        while left:
            if not select.select((), (self._terminal,), (), WRITE_SECONDS_MAX)[1]:
                raise FabricError(f"*** {self.name} reads nothing: its terminal is full")
            try:
                left = left[os.write(self._terminal, left[:COMMAND_BYTES_MAX]) :]
            except OSError:  # EIO: nobody has the other end any more
                raise ShellEnded(self.name, self.close(), "") from None

    def close(self) -> int:
        """End the shell and what runs in it; return its exit code."""
        shell, self.shell, self.waiting = self.shell, None, False
        return 0 if shell is None else shell.end()

    @property
    def terminal(self) -> int:
        return self._terminal

    def _received(self) -> str:
        try:
            data = os.read(self._terminal, READ_BYTES)
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        if not data:
            said, self._held = self._held + self._decoder.decode(b"", final=True), ""
            raise ShellEnded(self.name, self.close(), said)
        return self._decoder.decode(data)

    def _open(self) -> None:
        if self.shell is not None:
            return
        token = secrets.token_hex(8)
        self._prompt = f"<{token}>"
        ps1 = f"PS1=\\074{token}\\076"  # in bash's octal: `set` prints it, and is not taken for a prompt
        argv = ("env", ps1, "bash", "--norc", "--noediting", "-is", f"mininet:{self.name}")
        self.shell = self._start(argv)
        self._terminal = self.shell.terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pollOut = select.poll()
        self.pollOut.register(self._terminal, select.POLLIN)
        self._held, self.waiting = "", True
        try:
            self.waitOutput()
            self.write("unset HISTFILE; export -n PS1; stty -echo; set +m\n")
            self.waiting = True
            self.waitOutput()
        except ShellEnded as ended:
            what = " ".join(ended.said.split()) or f"it ended with {ended.code}"
            raise FabricError(f"*** {self.name}: no shell can be started: {what}") from None


class Host(Shelled):
    """A node of the cluster, or its control plane."""


class Pod(Shelled):
    """A pod: its first container."""


class Switch(Shelled):
    """A bridge of the underlay."""


class Router(Shelled):
    """A router of the underlay."""
