"""iptables and ipset run inside a namespace, and the flavour of iptables that this machine uses.

The calling thread visits the namespace while it spawns (see `namespaces`); call from a thread that may
block for the 2 to 40 ms that a tool takes. The lock of iptables is the file that a user's iptables takes on
that node; namespaces do not wait for each other, and the host's lock file is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from fabric.errors import FabricError
from fabric.kernel.namespaces import inside
from fabric.netstate.rules import Family

RUN_SECONDS_MAX = 60.0
FLAVOURS = ("nft", "legacy")
_TRIAL = "*filter\n:FABRIC-TRIAL - [0:0]\nCOMMIT\n"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


STARTED: deque[int] = deque(maxlen=256)
"""The pids of the tools that ran last: what the kernel tells of these is known."""


class ToolFailed(FabricError):
    """A tool ended with an error; the message is what it said."""


def run(pid: int, argv: Sequence[str], text: str = "") -> str:
    """Run a tool in the network namespace of process `pid` and return its output; ToolFailed says why not."""
    environment = {
        "PATH": _PATH,
        "LC_ALL": "C",
        "XTABLES_LOCKFILE": _lock_file(pid),
    }
    try:
        with inside(pid):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            STARTED.append(process.pid)
    except FileNotFoundError as error:
        if error.filename == f"/proc/{pid}/ns/net":
            raise
        raise ToolFailed(f"{argv[0]} is not installed: apt-get install iptables ipset") from error
    return _output(process, argv, text)


def _lock_file(pid: int) -> str:
    """Return the lock of a namespace's own iptables, where it has a /run of its own; else the namespace."""
    run_folder = Path(f"/proc/{pid}/root/run")
    try:
        shared = run_folder.samefile("/run")
    except OSError:
        shared = True
    return f"/proc/{pid}/ns/net" if shared else f"{run_folder}/xtables.lock"


def restore(flavour: str, family: Family) -> tuple[str, ...]:
    """Return the command that takes rules as text and leaves other chains alone."""
    return (_tables(flavour, family, "restore"), "--noflush", "--wait")


def listing(flavour: str, family: Family, table: str, chain: str) -> tuple[str, ...]:
    """Return the command that prints one chain."""
    tool = f"ip{'6' * (family == 6)}tables-{flavour}"
    return (tool, "--wait", "-t", table, "-S", chain)


def save(flavour: str, family: Family) -> tuple[str, ...]:
    return (_tables(flavour, family, "save"),)


def detect_flavour(pid: int) -> str:
    """Return `nft` or `legacy`: FABRIC_IPTABLES, else what `iptables` is here, if the kernel has it.

    Namespaces of the cluster hold rules of one flavour only, and a user's `iptables -S` shows them. Some
    kernels list the tables and take no chain: one is written, in a namespace that ends with the trial.
    """
    chosen = os.environ.get("FABRIC_IPTABLES", "")
    if chosen:
        if chosen not in FLAVOURS:
            raise FabricError(f"FABRIC_IPTABLES={chosen}: allowed are {' and '.join(FLAVOURS)}")
        return chosen
    default = os.path.realpath(shutil.which("iptables", path=_PATH) or "")
    flavours = reversed(FLAVOURS) if "legacy" in default else FLAVOURS
    failures: list[str] = []
    for flavour in flavours:
        try:
            run(pid, ("unshare", "--net", *restore(flavour, 4)), _TRIAL)
            return flavour
        except ToolFailed as error:
            failures.append(f"{flavour}: {error}")
    raise ToolFailed("; ".join(failures))


def _tables(flavour: str, family: Family, verb: str) -> str:
    return f"ip{'6' * (family == 6)}tables-{flavour}-{verb}"


def _output(process: subprocess.Popen[str], argv: Sequence[str], text: str) -> str:
    try:
        out, err = process.communicate(text, timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise ToolFailed(f"{argv[0]} did not end within {RUN_SECONDS_MAX:g} s") from error
    if process.returncode != 0:
        raise ToolFailed(f"{' '.join(argv)}: {err.strip() or f'exit code {process.returncode}'}")
    return out
