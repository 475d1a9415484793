"""On a kernel before 6.17 only a process of the pod can mount the pod's /proc: all else is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.pod_shell import PodShell
from support.runtime_contract import RuntimeContract
from support.runtime_process import running

from fabric.runtime.client import RuntimeClient

PRELUDE = """
import os
from fabric.runtime.processes import linux
def refuse(namespace):
    raise OSError(22, os.strerror(22))
linux.proc_of = refuse
"""


class TestRuntimeOfAnOldKernel(RuntimeContract):
    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[RuntimeClient]:
        async with running(tmp_path, PRELUDE) as (_, client):
            yield client


async def test_a_container_sees_its_pods_processes_and_cannot_change_the_hosts_settings(tmp_path: Path):
    async with running(tmp_path, PRELUDE) as (process, client):
        shell = PodShell(process, client, tmp_path)
        await shell.start_pod()
        assert "1 catatonit -P" in await shell.run("ps -eo pid,args")
        script = "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused"
        assert await shell.run(script) == "refused\n"
        assert (await shell.client.start_container(shell.spec("nope"))).reason == "StartError"
