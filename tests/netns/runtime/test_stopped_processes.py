"""A process that is stopped, or slow, keeps nobody waiting but those who need it, and those not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell
from support.runtime_process import running

from fabric.errors import FabricError
from fabric.runtime import client
from fabric.runtime.contract import HostSpec, SandboxSpec

QUICK_SECONDS = 5.0


def named(shell: PodShell, name: str) -> list[int]:
    return [pid for pid in shell.process.pids if _comm(pid) == name]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


async def stopped_zygote(shell: PodShell) -> int:
    await shell.client.start_sandbox(SandboxSpec("before", "node-1", "before"))
    (pid,) = named(shell, "fabric-zygote")
    os.kill(pid, signal.SIGSTOP)
    return pid


async def test_other_nodes_pods_start_while_a_zygote_is_stopped(shell: PodShell):
    await shell.client.start_node(HostSpec("node-2"))
    await stopped_zygote(shell)
    stuck = asyncio.create_task(shell.client.start_sandbox(SandboxSpec("stuck", "node-1", "stuck")))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    await shell.client.start_sandbox(SandboxSpec("free", "node-2", "free"))
    assert (await shell.run("echo hello")) == "hello\n"
    assert time.monotonic() - begun < QUICK_SECONDS
    assert not stuck.done()
    assert (await stuck).alive


async def test_a_stopped_zygote_is_replaced_and_leaves_no_pause_process(shell: PodShell):
    pid = await stopped_zygote(shell)
    names = [f"pod-{number}" for number in range(2, 6)]
    started = await asyncio.gather(
        *(shell.client.start_sandbox(SandboxSpec(name, "node-1", name)) for name in names)
    )
    assert all(sandbox.alive for sandbox in started)
    assert pid not in shell.process.pids
    known = {sandbox.pid for sandbox in await shell.client.sandboxes()}
    node = (await shell.client.nodes())["node-1"]
    await eventually(lambda: set(named(shell, "catatonit")) == known | {node})


async def test_a_pause_process_that_nobody_was_told_of_is_ended(shell: PodShell):
    """The zygote is killed just after it was asked, again and again: what it had done is known, or gone."""
    for number in range(30):
        pod = SandboxSpec(f"burst-{number}", "node-1", "pod")
        starting = asyncio.create_task(shell.client.start_sandbox(pod))
        await asyncio.sleep(0.0003 * number)
        for pid in named(shell, "fabric-zygote"):
            with contextlib.suppress(ProcessLookupError):  # A child that had the zygote's name has ended.
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FabricError):
            await starting
    node = (await shell.client.nodes())["node-1"]

    async def all_are_known() -> bool:
        alive = {sandbox.pid for sandbox in await shell.client.sandboxes() if sandbox.alive}
        return set(named(shell, "catatonit")) == alive | {node}

    await eventually(all_are_known)  # A pause process that had its zygote's name was killed with it.


async def test_a_stopped_pause_process_can_be_ended(shell: PodShell):
    (sandbox,) = await shell.client.sandboxes()
    os.kill(sandbox.pid, signal.SIGSTOP)
    assert (await shell.run("echo hello")) == "hello\n"
    await shell.client.stop_sandbox("pod-1")
    assert list(await shell.client.sandboxes()) == []


async def test_an_exec_holder_that_was_killed_is_made_again(shell: PodShell):
    started = await shell.start("catatonit", "-P")
    before = set(shell.process.pids)
    assert (await shell.exec(started.id, "echo one"))[1] == "one\n"
    (holder,) = [pid for pid in set(shell.process.pids) - before if _comm(pid) == "catatonit"]
    os.kill(holder, signal.SIGKILL)
    await eventually(lambda: holder not in shell.process.pids)
    assert (await shell.exec(started.id, "echo two"))[1] == "two\n"


async def test_a_stopped_runtime_is_not_waited_for_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "ANSWER_SECONDS_MAX", 0.3)
    async with running(tmp_path) as (process, runtime):
        await runtime.start_node(HostSpec("node-1"))
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(FabricError, match="did not answer start_sandbox within 0"):
            await runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1"))
        os.kill(process.pid, signal.SIGCONT)
        monkeypatch.setattr(client, "ANSWER_SECONDS_MAX", 30.0)
        assert (await runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1"))).alive
        assert len(await runtime.sandboxes()) == 1
