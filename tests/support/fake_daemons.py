"""Daemons of a node that only note what was asked for: for agents on the fake kernel."""

from __future__ import annotations

from collections.abc import Mapping

from fabric.plugin.contract import Program


class FakeDaemons:
    """Implements Daemons; `programs` is what would run."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}

    async def keep(self, program: Program) -> int:
        self.programs[program.name] = program
        return 1000 + sorted(self.programs).index(program.name)

    async def end(self, name: str) -> None:
        self.programs.pop(name, None)

    async def running(self) -> Mapping[str, int]:
        return {name: 1000 + index for index, name in enumerate(sorted(self.programs))}
