"""The lines of `fabric up`: one a stage, live on a terminal, plain in a log."""

from __future__ import annotations

import shutil
import sys
import time

from fabric.cluster.stages import Progress

_MARKS = {"running": "…", "done": "✓", "failed": "✗"}
_DETAIL_MAX = 100


class Stages:
    """The printer of progress as it comes; `seconds` has how long each stage took."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._began: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        """Take one report."""
        now = time.monotonic()
        began = self._began.setdefault(progress.stage, now)
        if progress.state != "running":
            self.seconds[progress.stage] = round(now - began, 3)
        if self._quiet or (progress.state == "running" and not self._live):
            return
        line = self._line(progress, now - began)
        if not self._live:
            print(line, file=sys.stderr)
            return
        end = "" if progress.state == "running" else "\n"
        if progress.state == "running":  # a line that is wrapped could not be written over
            line = line[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)

    @staticmethod
    def _line(progress: Progress, seconds: float) -> str:
        count = f"{progress.done}/{progress.total}" if progress.total > 1 else ""
        detail = progress.detail if progress.state != "done" else ""
        if len(detail) > _DETAIL_MAX:
            detail = detail[: _DETAIL_MAX - 1] + "…"
        text = f"{_MARKS[progress.state]} {progress.stage:<14} {count:>9} {seconds:6.2f} s"
        return f"{text}  {detail}".rstrip()
