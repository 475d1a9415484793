"""Mininet's `CLI` with names that have dashes, at a terminal or for lines that are known before.

Whatever a line comes to, the next is taken: what Mininet's own commands stumble over is one line of error.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mininet.cli import CLI
from mininet.log import error, lg

from fabric.cli.mininet_net import Net
from fabric.cli.mininet_nodes import Shelled
from fabric.errors import FabricError


class _Errors(logging.Handler):
    """Notes that there was one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen = False

    def emit(self, record: logging.LogRecord) -> None:
        self.seen = True


class CommandLine(CLI):  # type: ignore[misc]
    """Mininet's commands; a name may be that of a pod in another namespace: `kube-system/dns-1`."""

    prompt = "fabric> "
    identchars = CLI.identchars + "-./"
    errors = _Errors()
    """Of the last line."""
    asked: Shelled | None = None
    """The node that the last line ran a program on."""

    @classmethod
    def open(cls, net: Net, lines: Iterable[str] | None = None) -> bool:
        """Take commands from the terminal, or the lines, up to their end or to `exit`.

        True unless the last of the lines failed.
        """
        for handler in lg.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stdout)
        lg.addHandler(cls.errors)
        cls.errors.seen = False
        if lines is None:
            cls(net)
            return True
        silent, hold = os.pipe()
        with os.fdopen(silent) as stdin, os.fdopen(hold, "w"):
            # Programs on nodes get no input then: the lines are for the command line.
            line_by_line = cls(net, stdin=stdin, script=os.devnull)
            for line in lines:
                if line_by_line.onecmd(line_by_line.precmd(line.strip())):
                    break
            return line_by_line.is_content()

    def is_content(self) -> bool:
        """Whether the last command did what it should; asks the shell that ran it."""
        return not self.errors.seen and (self.asked is None or self.asked.cmd("echo $?").strip() == "0")

    def onecmd(self, line: str) -> Any:
        """Do one line; True for `exit`."""
        if not line.strip():
            return None
        self.errors.seen, self.asked = False, None
        try:
            return super().onecmd(line)
        except FabricError as refused:
            error(f"{refused}\n")
        except Exception as failure:
            # Mininet's commands take the network to be Mininet's own: anything of that may be missing here.
            what = " ".join(f"{type(failure).__name__}: {failure}".split())
            error(f"*** {line.split()[0]} does not work here: {what}\n")
        return None

    def default(self, line: str) -> None:
        """Run a program on a node."""
        super().default(line)
        self.asked = self.mn[name] if (name := self.parseline(line)[0]) in self.mn else None

    def do_py(self, line: str) -> Any:
        """Evaluate a Python expression: py net['node-1'].cmd('ip route')"""
        return super().do_py(line)

    def do_sh(self, line: str) -> None:
        """Run a program on this machine: sh COMMAND"""
        self.errors.seen = subprocess.run(line, shell=True, check=False).returncode != 0

    def do_source(self, line: str) -> None:
        """Take commands from a file, up to its end or to `exit`: source FILE"""
        try:
            lines = Path(line.strip()).read_text().splitlines()
        except OSError as refused:
            error(f"source: {line.strip() or 'name a file'}: {refused.strerror}\n")
            return
        for each in lines:
            if self.onecmd(self.precmd(each.strip())):
                return

    def do_dpctl(self, _line: str) -> None:
        """No OpenFlow switches here: a switch is a Linux bridge, a router runs BIRD."""
        error("no OpenFlow switches here: a switch is a Linux bridge, a router runs BIRD; ")
        error("try `NODE bridge fdb show` or `NODE ip route`\n")

    def do_switch(self, _line: str) -> None:
        """Switches are not stopped from here; pull their cables: link A B down"""
        error("switches and routers are not stopped from here; pull a cable: link A B down\n")
