"""Real kubectls for tests: those of three Debian suites, unpacked beside the checkout and never installed.

Each is fetched once. Tests that ask for one fail where that is not possible.
"""

from __future__ import annotations

import asyncio
import fcntl
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from support.debian import debian_package

CACHE = Path(__file__).parents[2] / ".cache" / "kubectl"
SUITES = {"1.20": "bookworm", "1.32": "trixie", "1.36": "sid"}
PACKAGES = {"bookworm": "kubernetes-client", "trixie": "kubectl", "sid": "kubectl"}
"""What has kubectl in each suite: 1.20, 1.32 and, in the unstable one, what is newest there (1.36)."""
SECONDS_MAX = 90.0


@dataclass(frozen=True)
class Answer:
    """What one kubectl command said."""

    code: int
    out: str
    err: str


class Kubectl:
    """Commands against one cluster, with a home of its own."""

    def __init__(self, binary: Path, home: Path, kubeconfig: str, version: str = "1.20") -> None:
        self.version = version
        home.mkdir(parents=True, exist_ok=True)
        config = home / "kubeconfig"
        config.write_text(kubeconfig)
        self._binary = binary
        self.environment = {"HOME": str(home), "KUBECONFIG": str(config), "PATH": "/usr/bin:/bin"}

    async def __call__(self, *words: str, stdin: str = "") -> str:
        """Standard output of a command that must succeed."""
        answer = await self.attempt(*words, stdin=stdin)
        assert answer.code == 0, f"kubectl {' '.join(words)}: {answer.err}{answer.out}"
        return answer.out

    async def json(self, *words: str) -> dict:
        return orjson.loads(await self(*words, "-o", "json"))

    async def attempt(self, *words: str, stdin: str = "") -> Answer:
        """A command that may fail."""
        async with self.running(*words) as process:
            out, err = await asyncio.wait_for(process.communicate(stdin.encode()), SECONDS_MAX)
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[Process]:
        """A command while it runs; killed at the end of the block if it has not ended."""
        process = await asyncio.create_subprocess_exec(
            self._binary, *words, env=self.environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def kubectl_1_20() -> Path:
    """The binary that Debian bookworm has."""
    return kubectl_of("bookworm")


def kubectl_of(suite: str) -> Path:
    """The binary of a Debian suite; fails the test when it is not there and cannot be fetched."""
    binary = CACHE / suite / "usr" / "bin" / "kubectl"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            try:
                debian_package(PACKAGES[suite], suite, CACHE / suite)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                said = getattr(error, "stderr", None) or b""
                what = f"{PACKAGES[suite]} of Debian {suite}"
                pytest.fail(f"needs {what}, which cannot be fetched: {error}\n{said.decode()}")
    return binary
