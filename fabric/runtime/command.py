"""The command of the runtime process: a Python without site packages, to stay small."""

from __future__ import annotations

import sys
from pathlib import Path

_SOURCE = "import sys; sys.path.insert(0, sys.argv.pop(1));from fabric.runtime.server import main\nmain()"


def command(socket: Path, state: Path) -> list[str]:
    """Return the argv of a runtime that serves `socket` and keeps its records in `state`."""
    root = Path(__file__).resolve().parents[2]
    return [
        sys.executable,
        "-S",
        "-E",
        "-I",
        "-OO",
        "-c",
        _SOURCE,
        str(root),
        str(socket.absolute()),
        str(state.absolute()),
    ]
