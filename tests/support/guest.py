"""A guest: a kernel of user-mode Linux on this machine's files, which runs tests and reports of them.

Guest and host share an exchange, a temporary directory: the task goes in, reports (one JSON line each, as
they are made), the console and the exit code come out. Whatever else the guest writes stays in its memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import guest_init

KERNEL = "linux.uml"
EXCHANGE = "/exchange"
"""Where a guest finds it; its being there says that this is a guest."""
SECONDS_MAX = 400
MEMORY = "768M"
MODULES = ("ipip", "ipv6", "tun", "br_netfilter")
"""Loaded before any test; others are loaded by the guest when they are needed."""
_CONSOLE_LINES_SHOWN = 60
_TOO_WIDE = "ptrace set fp regs failed, errno = 14"
"""Its last word where it has no room for a processor's registers: Linux 6.1's has none for those of AMX."""
_END_SECONDS_MAX = 5
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """What a guest said."""

    reports: Sequence[Mapping[str, Any]]
    """Serialized pytest reports, in the order in which they were made."""
    complaint: str
    """What to say of a test of which nothing more is reported."""
    unfit: str = ""
    """Why no such kernel runs on this processor; empty where one does."""


def is_guest() -> bool:
    """True in a guest."""
    return Path(EXCHANGE, "task.json").exists()


def record(report: Mapping[str, Any]) -> None:
    """Hand a report to the host; only in a guest."""
    with Path(EXCHANGE, "reports").open("a") as reports:
        reports.write(json.dumps(report) + "\n")


def run(tests: Sequence[str], directory: Path) -> Outcome:
    """Boot a guest, run these tests of `directory` in it, and wait until it is off; SECONDS_MAX at most."""
    kernel = shutil.which(KERNEL)
    if kernel is None:
        return Outcome(
            (), f"{KERNEL} is not installed: bin/set-up dev, or apt-get install user-mode-linux kmod"
        )
    with tempfile.TemporaryDirectory(prefix="fabric-guest-") as name:
        exchange = Path(name)
        command = [sys.executable, "-m", "pytest", "-q", *tests]
        task = {"modules": MODULES, "directory": str(directory), "command": command}
        (exchange / "task.json").write_text(json.dumps(task))
        _boot(kernel, exchange)
        return _outcome(exchange)


def _boot(kernel: str, exchange: Path) -> None:
    init = [sys.executable, "--", "-B", guest_init.__file__, str(exchange)]
    machine = [f"mem={MEMORY}", f"uml_dir={exchange}", "umid=guest", "quiet"]
    root = ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
    consoles = ["con=null", "con0=null,fd:1"]
    with (exchange / "console").open("wb") as console:
        process = subprocess.Popen(
            [kernel, *machine, *root, *consoles, f"init={init[0]}", *init[1:]],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for the guest's end, or end it; what it leaves of its own processes goes too."""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], SECONDS_MAX)[0]:
            process.terminate()
            select.select([ended], [], [], _END_SECONDS_MAX)
        # Not waited for yet: its number is nobody else's.
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        os.close(ended)
        process.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _outcome(exchange: Path) -> Outcome:
    reports = exchange / "reports"
    lines = reports.read_text().splitlines() if reports.exists() else []
    if (exchange / "exit").exists():
        complaint = "pytest ended in the guest before this test did"
    else:
        console = (exchange / "console").read_text(errors="replace")
        if _TOO_WIDE in console and not lines:
            return Outcome((), "", f"user-mode Linux has no room for this processor's registers: {_TOO_WIDE}")
        shown = console.splitlines()[-_CONSOLE_LINES_SHOWN:]
        complaint = "\n".join([f"the guest ended early, or was not done after {SECONDS_MAX} s:", *shown])
    return Outcome([json.loads(line) for line in lines], complaint)
