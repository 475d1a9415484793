"""Programs of the fake runtime are scripts: run time, exit code and answers to signals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A scripted program: what it does by itself, and how it takes signals."""

    seconds: float | None = None
    """How long it runs; None is for ever."""
    exit_code: int = 0
    """How it ends after `seconds`."""
    ignores: frozenset[int] = frozenset()
    """Signals it does not die from; SIGKILL always kills."""
    on_term: int | None = None
    """Exit code when SIGTERM comes; None: it dies from the signal (143)."""
    stops_in_seconds: float = 0.0
    """How long it needs after the signal that ends it."""
    start_error: str = ""
    """Set: it cannot be started, with this message."""
    start_error_code: int = 127


FOR_EVER = Program()
Script = Callable[[tuple[str, ...]], Program]
"""From a container's argv to what it does."""


def well_known(argv: tuple[str, ...]) -> Program:
    """`true`, `false`, `sleep N` and `sh -c "exit N"` do what they say; all else runs for ever."""
    match argv:
        case ("", *_):
            return Program(start_error='exec: "": executable file not found in $PATH')
        case ("true", *_):
            return Program(seconds=0.0)
        case ("false", *_):
            return Program(seconds=0.0, exit_code=1)
        case ("sleep", seconds):
            return Program(seconds=float(seconds))
        case ("sh", "-c", text) if text.startswith("exit "):
            return Program(seconds=0.0, exit_code=int(text.removeprefix("exit ")))
    return FOR_EVER


class FakeExec:
    """A scripted program beside a container; what it would print is not kept."""

    terminal: int | None = None

    def __init__(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        self.size = (0, 0)
        if program.seconds is not None:
            loop.call_later(program.seconds, self._end, program.exit_code)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def resize(self, rows: int, columns: int) -> None:
        self.size = (rows, columns)

    async def signal(self, signal: int) -> None:
        self._end(128 + signal)

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)
