"""A real kubectl for tests: Debian's 1.20, unpacked beside the checkout and never installed.

Fetched once with `apt-get download`. Tests that ask for it fail where that is not possible.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "kubectl-1.20"
SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Answer:
    """What one kubectl command said."""

    code: int
    out: str
    err: str


class Kubectl:
    """Commands against one cluster, with a home of its own."""

    def __init__(self, binary: Path, home: Path, kubeconfig: str) -> None:
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
    """The binary; fails the test when it is not there and cannot be fetched."""
    binary = CACHE / "usr" / "bin" / "kubectl"
    if not binary.exists():
        _fetch(binary)
    return binary


def _fetch(binary: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if binary.exists():
            return
        try:
            _download()
            draft = CACHE / f".unpacked-{os.getpid()}"
            package = next(CACHE.glob("kubernetes-client_1.20*.deb"))
            _run("dpkg", "-x", str(package), str(draft))
            binary.parent.mkdir(parents=True, exist_ok=True)
            (draft / "usr" / "bin" / "kubectl").rename(binary)
        except (OSError, subprocess.SubprocessError, StopIteration) as error:
            pytest.fail(f"needs Debian's kubernetes-client 1.20, which cannot be fetched: {error}")


def _download() -> None:
    """A machine that has never asked for its packages' list asks now."""
    try:
        _run("apt-get", "download", "kubernetes-client")
    except subprocess.CalledProcessError:
        _run("apt-get", "update")
        _run("apt-get", "download", "kubernetes-client")


def _run(*words: str) -> None:
    subprocess.run(words, cwd=CACHE, check=True, capture_output=True, timeout=120)
