"""No descriptors, no processes, no disk: the request that met it is refused, and the runtime goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.eventually import eventually
from support.pids_group import pids_group
from support.pod_shell import PodShell
from support.runtime_contract import ended
from support.runtime_process import connected, running

from fabric.errors import FabricError
from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import HostSpec, RuntimeRefused, SandboxSpec, StartError

FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
SMALL_DISK = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.unshare(0x20000)
libc.mount(b"none", b"/", b"none", 0x44000, None)
if libc.mount(b"tmpfs", sys.argv[2].encode(), b"tmpfs", 0, b"size=256k"):
    sys.exit("there is no small disk")
"""


async def fill_descriptors(client: RuntimeClient) -> int:
    """Start pods until there is no room; return how many there are."""
    for number in range(100):
        try:
            await client.start_sandbox(SandboxSpec(f"pod-{number}", "node-1", "pod"))
        except RuntimeRefused as refused:
            assert "Too many open files" in str(refused)
            return number
    raise AssertionError("the limit was never met")


async def test_a_runtime_at_its_descriptor_limit_refuses_and_recovers(tmp_path: Path):
    async with running(tmp_path, FEW_FILES) as (process, client):
        await client.start_node(HostSpec("node-1"))
        there = await fill_descriptors(client)
        assert there > 5
        shell = PodShell(process, client, tmp_path)
        with pytest.raises(FabricError):
            await client.start_container(shell.spec("sleep", "1000", sandbox="pod-0"))
        with pytest.raises(FabricError):
            await client.start_node(HostSpec("node-2"))
        known = {sandbox.pid for sandbox in await client.sandboxes()}
        assert len(known) == there
        for number in range(there):
            await client.stop_sandbox(f"pod-{number}")
        await client.start_sandbox(SandboxSpec("after", "node-1", "after"))
        assert await shell.run("echo hello", sandbox="after") == "hello\n"
        await client.stop_sandbox("after")
        node = (await client.nodes())["node-1"]
        await eventually(lambda: len(process.pids) <= 3 and {process.pid, node} <= set(process.pids))


async def test_clients_without_a_descriptor_are_taken_later(tmp_path: Path):
    async with running(tmp_path, FEW_FILES) as (process, client):
        await client.start_node(HostSpec("node-1"))
        others = [asyncio.create_task(RuntimeClient(process.socket).run()) for _ in range(60)]
        await asyncio.sleep(0.5)
        assert await client.nodes()
        cpu = _cpu_ticks(process.pid)
        await asyncio.sleep(0.5)
        assert _cpu_ticks(process.pid) - cpu < 10, "it spins while it cannot take a client"
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        async with connected(process) as fresh:
            assert await fresh.nodes()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_no_more_processes_is_a_refusal_and_no_fault_of_the_program(tmp_path: Path):
    with pids_group() as group:
        join = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n"
        async with running(tmp_path, join) as (process, client):
            shell = PodShell(process, client, tmp_path)
            await shell.start_pod()
            started = await shell.start("catatonit", "-P")
            (group / "pids.max").write_text((group / "pids.current").read_text())
            for user in (0, 1000):
                with pytest.raises(RuntimeRefused, match="Resource temporarily unavailable") as refused:
                    await client.start_container(shell.spec("sleep", "1000", uid=user))
                assert not isinstance(refused.value, StartError)
            with pytest.raises(FabricError, match="Resource temporarily unavailable"):
                await client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))
            with pytest.raises(FabricError, match="Resource temporarily unavailable"):
                await client.start_node(HostSpec("node-2"))
            with pytest.raises(FabricError, match=r"[Rr]esource temporarily unavailable"):
                await shell.exec(started.id, "true")
            assert [c.id for c in await client.containers()] == [started.id]
            (group / "pids.max").write_text("max")
            assert await shell.run("echo hello", uid=1000) == "hello\n"


async def test_a_full_disk_refuses_what_is_new_and_forgets_no_end(tmp_path: Path):
    (tmp_path / "state").mkdir()
    async with running(tmp_path, SMALL_DISK) as (process, client):
        shell = PodShell(process, client, tmp_path)
        await shell.start_pod()
        started = await shell.start("sleep", "1000")
        disk = Path(f"/proc/{process.pid}/root{process.state}")
        fill = disk / "fill"
        with pytest.raises(OSError, match="No space"), fill.open("wb", buffering=0) as file:
            for _ in range(100):
                file.write(bytes(4096))
        with pytest.raises(RuntimeRefused, match="No space left on device"):
            await client.start_container(shell.spec("sleep", "1000"))
        with pytest.raises(RuntimeRefused, match="No space left on device"):
            await client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))
        os.kill(started.pid, signal.SIGKILL)
        assert (await ended(client, started.id)).exit_code == 137
        fill.unlink()
        record = disk / "containers" / f"{started.id}.json"
        await eventually(lambda: '"exited"' in record.read_text())
        assert await shell.run("echo hello") == "hello\n"
