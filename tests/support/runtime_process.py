"""A real runtime process in a cgroup of its own, which takes everything with it at the end."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from fabric.runtime.client import RuntimeClient
from fabric.runtime.command import command

_MAIN = "main()"
_JOIN = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'


def cgroup_root() -> Path:
    """Return where cgroup v2 is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point)
    raise AssertionError("this host has no cgroup v2 mount")


class RuntimeProcess:
    """Starts, kills and starts again; `pids` are all that came of it."""

    def __init__(self, directory: Path, prelude: str = "") -> None:
        self.directory = directory
        self._prelude = prelude
        self.socket = directory / "runtime.sock"
        self.state = directory / "state"
        self.log = directory / "runtime.log"
        self.cgroup = cgroup_root() / f"fabric-test-{uuid.uuid4().hex[:12]}"
        self.cgroup.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        return [int(pid) for pid in (self.cgroup / "cgroup.procs").read_text().split()]

    def start(self) -> None:
        runtime = command(self.socket, self.state)
        source = runtime.index("-c") + 1
        runtime[source] = runtime[source].replace(_MAIN, f"{self._prelude}{_MAIN}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _JOIN, "sh", str(self.cgroup), *runtime], stderr=log
            )

    def kill(self) -> None:
        """SIGKILL the runtime, and only it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill all; AssertionError when something stays, or when the runtime met a bug."""
        (self.cgroup / "cgroup.kill").write_text("1")
        if self._process is not None:
            self._process.wait()
        deadline = time.monotonic() + 60
        while self.pids:
            assert time.monotonic() < deadline, f"still there: {self.pids}"
            time.sleep(0.01)
        self.cgroup.rmdir()
        said = self.log.read_text() if self.log.exists() else ""
        assert "Traceback" not in said, said


@contextlib.asynccontextmanager
async def running(directory: Path, prelude: str = "") -> AsyncIterator[tuple[RuntimeProcess, RuntimeClient]]:
    """Yield a runtime and a connected client of it; `prelude` is Python that it runs first."""
    process = RuntimeProcess(directory, prelude)
    try:
        process.start()
        async with connected(process) as client:
            yield process, client
    finally:
        process.close()


@contextlib.asynccontextmanager
async def connected(process: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    client = RuntimeClient(process.socket)
    run = asyncio.create_task(client.run())
    try:
        await asyncio.wait_for(client.connected(), 60)
        yield client
    finally:
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
