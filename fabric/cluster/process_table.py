"""What /proc says of a process: whether it lives, and since when."""

from __future__ import annotations

from pathlib import Path

_STATE, _START_TIME = 0, 19
"""Fields of /proc/<pid>/stat, counted after the command's closing bracket."""


def start_time(pid: int) -> int:
    """Ticks since boot when the process began; 0 when it is gone, or dead and not reaped yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[_STATE] in "ZX" else int(fields[_START_TIME])
