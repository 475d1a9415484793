"""Mininet's `CLI` with names that have dashes, at a terminal or for lines that are known before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from mininet.cli import CLI
from mininet.log import lg

from fabric.cli.mininet_net import Net


class CommandLine(CLI):  # type: ignore[misc]
    """Mininet's commands; a name may be that of a pod in another namespace: `kube-system/dns-1`."""

    prompt = "fabric> "
    identchars = CLI.identchars + "-./"

    @classmethod
    def open(cls, net: Net, lines: Iterable[str] | None = None) -> None:
        """Take commands from the terminal, or the lines, up to their end or to `exit`."""
        for handler in lg.handlers:
            handler.setStream(sys.stdout)
        if lines is None:
            cls(net)
            return
        silent, hold = os.pipe()
        with os.fdopen(silent) as stdin, os.fdopen(hold, "w"):
            # Programs on nodes get no input then: the lines are for the command line.
            line_by_line = cls(net, stdin=stdin, script=os.devnull)
            for line in lines:
                if line_by_line.onecmd(line_by_line.precmd(line.strip())):
                    return

    def do_py(self, line: str) -> Any:
        """Evaluate a Python expression: py net['node-1'].cmd('ip route')"""
        return super().do_py(line)
