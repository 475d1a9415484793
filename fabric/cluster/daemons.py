"""The daemons of one node, as a plugin's agent asks for them, kept by the runtime that started the node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fabric.errors import FabricError
from fabric.plugin.contract import Program
from fabric.runtime.contract import DaemonSpec, Runtime

LOGS = Path("var/log/daemons")
"""Below a node's private files: `<program>.log` has what it wrote to stdout and stderr."""


class NodeDaemons:
    """Implements Daemons over a runtime."""

    def __init__(self, runtime: Runtime, node: str, root: Path) -> None:
        """`root`: the node's private files as the host sees them."""
        self._runtime = runtime
        self._node = node
        self._logs = root / LOGS

    async def keep(self, program: Program) -> int:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FabricError(f"{self._node}: /{LOGS} cannot be made: {error.strerror}") from error
        log_path = self._logs / f"{program.name}.log"
        spec = DaemonSpec(self._node, program.name, program.argv, program.restart_argv, log_path)
        return (await self._runtime.start_daemon(spec)).pid

    async def end(self, name: str) -> None:
        await self._runtime.stop_daemon(self._node, name)

    async def running(self) -> Mapping[str, int]:
        found = await self._runtime.daemons(self._node)
        return {status.name: status.pid for status in found if status.pid}
