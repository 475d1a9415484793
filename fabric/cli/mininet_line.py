"""Mininet's command line (`CLI`) with names that have dashes, at a terminal or for given lines.

Whatever a line comes to, the next is taken: what Mininet's own commands stumble over is one line of error.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import sys
import termios
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from mininet.cli import CLI
from mininet.log import error, lg, output

from fabric.cli.mininet_net import Net
from fabric.cli.mininet_nodes import INTERRUPT, Shelled, ShellEnded
from fabric.errors import FabricError

INTERRUPTS_MAX = 3
KEYS_MAX = 1024
END_OF_FILE = "\x04"


class _Errors(logging.Handler):
    """A log handler that notes whether there was an error."""

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
                handler.handleError = _closed_output  # type: ignore[method-assign,assignment]
        lg.addHandler(cls.errors)
        cls.errors.seen = False
        if lines is None:
            cls(net)
            return True
        with Path(os.devnull).open() as nothing:
            # Programs on nodes get no input then: the lines are for the command line.
            line_by_line = cls(net, stdin=nothing, script=os.devnull)
            for line in lines:
                if line_by_line.onecmd(line_by_line.precmd(line.strip())):
                    break
            return line_by_line.is_content()

    def is_content(self) -> bool:
        """Whether the last command did what it should; asks the shell that ran it."""
        if self.errors.seen or self.asked is None or self.asked.shell is None:
            return not self.errors.seen
        return self.asked.cmd("echo $?").strip() == "0"

    def onecmd(self, line: str) -> Any:
        """Run one line; True for `exit`."""
        if not line.strip():
            return None
        self.errors.seen, self.asked = False, None
        try:
            return super().onecmd(line)
        except BrokenPipeError:
            raise
        except FabricError as refused:
            error(f"{refused}\n")
        except Exception as failure:
            # Mininet's commands take the network to be Mininet's own: anything of that may be missing here.
            what = " ".join(f"{type(failure).__name__}: {failure}".split())
            error(f"*** {line.split()[0]} does not work here: {what}\n")
        return None

    def default(self, line: str) -> None:
        """Run a program on a node."""
        node = self.mn[name] if (name := self.parseline(line)[0]) in self.mn else None
        if node is not None:
            node.has_input = self.isatty()
        super().default(line)
        self.asked = node

    def waitForNode(self, node: Shelled) -> None:
        """Show what a command says until it ends, and pass on what is typed.

        Ctrl-C goes to the command; the third ends its shell. A line that nobody typed ends all lines by it.
        """
        interrupts = 0
        with _keys(self.stdin) as keys:
            while node.waiting:
                try:
                    readable = select.select([node.terminal, *keys], (), ())[0]
                    if keys and keys[0] in readable:
                        typed = os.read(keys[0], KEYS_MAX)
                        node.write(typed or END_OF_FILE)
                        keys = keys if typed else []
                    if node.terminal in readable:
                        output(node.monitor())
                except KeyboardInterrupt:
                    interrupts += 1
                    _interrupt(node, is_last=interrupts >= INTERRUPTS_MAX)
                except ShellEnded as ended:
                    output(ended.said)
                    if ended.code and not interrupts:
                        error(f"{ended}\n")
        if interrupts and not self.isatty():
            raise KeyboardInterrupt

    def do_py(self, line: str) -> Any:
        """Evaluate a Python expression: py net['node-1'].cmd('ip route')"""
        return super().do_py(line)

    def do_sh(self, line: str) -> None:
        """Run a program on this machine: sh COMMAND"""
        stdin = None if self.isatty() else subprocess.DEVNULL
        self.errors.seen = subprocess.run(line, shell=True, check=False, stdin=stdin).returncode != 0

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


@contextlib.contextmanager
def _keys(stdin: TextIO) -> Iterator[list[int]]:
    """Have a terminal give each key as it is typed; yields its descriptor, or none where nobody types."""
    if not stdin.isatty():
        yield []
        return
    before = termios.tcgetattr(stdin)
    by_key = [*before]
    by_key[3] &= ~termios.ICANON
    termios.tcsetattr(stdin, termios.TCSADRAIN, by_key)
    try:
        yield [stdin.fileno()]
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _interrupt(node: Shelled, *, is_last: bool) -> None:
    """Type Ctrl-C; a shell that takes none in, or whose command does not mind, is ended."""
    try:
        if not is_last:
            node.write(INTERRUPT)
            return
    except ShellEnded:
        return
    except FabricError:
        pass
    node.close()
    error(f"*** {node.name}: its shell was ended; the next command starts another\n")


def _closed_output(_record: logging.LogRecord) -> None:
    """End at a closed standard output, as other programs do; Mininet prints a traceback and goes on."""
    failure = sys.exc_info()[1]
    if failure is not None:
        raise failure
