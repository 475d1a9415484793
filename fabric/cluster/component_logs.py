"""The logs of a cluster's components: appended to by each, and kept short by their supervisor.

A log is cut where it lies, because its writers hold it open: they append, so they go on at its new end.
What is written between the copy and the cut is lost; a component's log is for reading, nothing is
computed from it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from pathlib import Path

from fabric.errors import BadInput, Problem

BYTES_MAX = 10 * 1024 * 1024
LEVEL = "FABRIC_LOG_LEVEL"
"""The environment variable of `fabric up` for the logs of the components; `debug` has every applied plan."""
_LEVELS = ("debug", "info", "warning", "error")


def level() -> str:
    """Return the level that the environment asks for, else INFO; BadInput when there is no such level."""
    found = os.environ.get(LEVEL) or "info"
    if found.lower() not in _LEVELS:
        raise BadInput(Problem(LEVEL, f"{found!r} is no level (allowed: {', '.join(_LEVELS)})"))
    return found.upper()


def write_to(log: Path) -> None:
    """Send this process's stdout, stderr and logging to the file, and let it read nothing."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)
    logging.basicConfig(
        level=level(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )


def shorten(folder: Path, bytes_max: int = BYTES_MAX) -> None:
    """Keep of every log that is too long only what is new, and what was in it as `<name>.log.1`."""
    with contextlib.suppress(OSError):  # a full disk, no descriptors, or a cluster that is being removed
        for log in folder.glob("*.log"):
            if log.stat().st_size > bytes_max:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)
