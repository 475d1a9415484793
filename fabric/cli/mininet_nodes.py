"""Mininet's nodes, ports and cables, over a running cluster.

A command runs in a shell of that host's or pod's, started when it is first used. Commands, their output and
their ends are read by Mininet's own `Node`.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mininet.node import Node
from mininet.util import getincrementaldecoder

PROMPT = "\x7f"
"""By which Mininet knows that a command has ended."""
Start = Callable[[tuple[str, ...]], int]
"""Starts a program there, and returns the master end of its terminal."""


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


class Shelled(Node):  # type: ignore[misc]
    """A Mininet node whose shell the cluster starts."""

    master: int | None
    """The master end of its shell's terminal, once there is one."""

    def __init__(self, name: str, pid: int, start: Start) -> None:
        self._start = start
        super().__init__(name)
        self.pid = pid

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

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:
        self._open()
        super().sendCmd(*args, **kwargs)

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        self._open()
        said: str = super().cmd(*args, **kwargs)
        return said

    def _open(self) -> None:
        if self.master is not None:
            return
        argv = ("env", f"PS1={PROMPT}", "bash", "--norc", "--noediting", "-is", f"mininet:{self.name}")
        master = self._start(argv)
        self.master, self.shell = master, self
        self.stdin = self.stdout = os.fdopen(master, "r")
        self.decoder = getincrementaldecoder()
        self.pollOut = select.poll()
        self.pollOut.register(self.stdout)
        while not self.read().endswith(PROMPT):
            self.pollOut.poll()
        super().cmd("unset HISTFILE; stty -echo; set +m")


class Host(Shelled):
    """A node of the cluster, or its control plane."""


class Pod(Shelled):
    """A pod: its first container."""


class Switch(Shelled):
    """A bridge of the underlay."""


class Router(Shelled):
    """A router of the underlay."""
