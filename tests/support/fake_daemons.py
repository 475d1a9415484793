"""Daemons of a node that only note what was asked for: for agents on the fake kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fabric.errors import FabricError
from fabric.plugin.contract import Program


class FakeDaemons:
    """Implements Daemons; `programs` is what would run."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.calls: list[str] = []
        """`keep bird`, `end tunl0`, in the order in which they were asked for."""
        self.seconds = 0.0
        """How long each answer takes."""
        self._refused: frozenset[str] = frozenset()
        self._heard = asyncio.Event()

    def refuse(self, *calls: str) -> None:
        """Refuse these calls, and no others, from now on."""
        self._refused = frozenset(calls)

    async def asked_for(self, call: str) -> None:
        """Wait until that was asked for."""
        while call not in self.calls:
            self._heard.clear()
            await self._heard.wait()

    async def keep(self, program: Program) -> int:
        await self._asked(f"keep {program.name}")
        self.programs[program.name] = program
        return 1000 + sorted(self.programs).index(program.name)

    async def end(self, name: str) -> None:
        await self._asked(f"end {name}")
        self.programs.pop(name, None)

    async def running(self) -> Mapping[str, int]:
        return {name: 1000 + index for index, name in enumerate(sorted(self.programs))}

    async def _asked(self, call: str) -> None:
        self.calls.append(call)
        self._heard.set()
        if call in self._refused:
            raise FabricError(f"{call} is refused")
        await asyncio.sleep(self.seconds)
