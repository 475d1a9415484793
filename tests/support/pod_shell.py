"""A pod on a real runtime, and what its programs print."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import ContainerSpec, ContainerStatus, HostSpec, SandboxSpec
from support.runtime_contract import ended
from support.runtime_process import RuntimeProcess


class PodShell:
    """`run` a program to its end in a container of its own and read its log."""

    def __init__(self, process: RuntimeProcess, client: RuntimeClient, directory: Path) -> None:
        self.process = process
        self.client = client
        self.directory = directory

    async def start_pod(self, **options: Any) -> None:
        await self.client.start_node(HostSpec("node-1"))
        await self.client.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1", **options))

    def spec(self, *argv: str, **options: Any) -> ContainerSpec:
        id = uuid.uuid4().hex * 2
        options.setdefault("sandbox", "pod-1")
        return ContainerSpec(id, name="main", argv=argv, log_path=self.log_path(id), **options)

    def log_path(self, id: str) -> Path:
        return self.directory / "logs" / f"{id}.log"

    async def start(self, *argv: str, **options: Any) -> ContainerStatus:
        status = await self.client.start_container(self.spec(*argv, **options))
        assert status.state == "running", status.message
        return status

    async def run(self, script: str, **options: Any) -> str:
        """Return what a shell script printed; AssertionError when it failed."""
        end = await ended(self.client, (await self.start("sh", "-c", script, **options)).id)
        printed = self.printed(end.id)
        assert end.exit_code == 0, (end, printed)
        return printed

    def printed(self, id: str) -> str:
        """Return a container's output without the stamps."""
        path = self.log_path(id)
        if not path.exists():
            return ""
        parts = [line.split(" ", 3) for line in path.read_text().split("\n")[:-1]]
        return "".join(text + ("\n" if mark == "F" else "") for _, _, mark, text in parts)

    async def exec(self, container: str, script: str, **options: Any) -> tuple[int, str]:
        """Return the exit code and the output of a shell script beside a container's program."""
        return await self._collect(self.client.exec, container, script, options)

    async def exec_node(self, script: str, **options: Any) -> tuple[int, str]:
        return await self._collect(self.client.exec_node, "node-1", script, options)

    async def _collect(self, call: Any, key: str, script: str, options: Any) -> tuple[int, str]:
        path = self.directory / f"exec-{uuid.uuid4().hex}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            session = await call(key, ["sh", "-c", script], stdout=fd, stderr=fd, **options)
            return await session.wait(), path.read_text()
        finally:
            os.close(fd)


def is_on_host(path: str) -> bool:
    return os.path.lexists(path)


def mounts_of(pid: str) -> str:
    return Path(f"/proc/{pid}/mountinfo").read_text()


def kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)
