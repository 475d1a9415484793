"""What starts a node's pods comes when it is needed, leaves nothing and is not missed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from support.eventually import eventually
from support.pod_shell import PodShell

from fabric.runtime.contract import SandboxSpec


def zygotes(shell: PodShell) -> list[int]:
    return [pid for pid in shell.process.pids if _name(pid) == "fabric-zygote"]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


async def start(shell: PodShell, *names: str) -> None:
    await asyncio.gather(
        *(shell.client.start_sandbox(SandboxSpec(name, "node-1", name)) for name in names),
    )


async def test_there_is_one_a_node_and_it_leaves_when_no_more_pods_come(shell: PodShell):
    await start(shell, "pod-2", "pod-3", "pod-4")
    assert len(zygotes(shell)) == 1
    await eventually(lambda: zygotes(shell) == [])
    await start(shell, "pod-5")
    assert len(await shell.client.sandboxes()) == 5


async def test_it_holds_none_of_the_runtimes_descriptors(shell: PodShell):
    await start(shell, "pod-2")
    (pid,) = zygotes(shell)
    held = " ".join(os.readlink(fd.path) for fd in os.scandir(f"/proc/{pid}/fd"))
    assert "/lock" not in held and "epoll" not in held and held.count("socket:") == 1


async def test_pods_are_started_after_it_was_killed(shell: PodShell):
    await start(shell, "pod-2")
    (pid,) = zygotes(shell)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pid not in shell.process.pids)
    await start(shell, "pod-3")
    assert all(sandbox.alive for sandbox in await shell.client.sandboxes())


async def test_one_that_was_killed_before_the_runtime_can_know_is_not_missed(shell: PodShell):
    """The runtime is stopped meanwhile: the next pod waits at its socket, beside the news of the death."""
    for number in range(10):
        await start(shell, f"before-{number}")
        (pid,) = zygotes(shell)
        os.kill(shell.process.pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        later = asyncio.create_task(start(shell, f"after-{number}"))
        await asyncio.sleep(0.05)
        os.kill(shell.process.pid, signal.SIGCONT)
        await later


async def test_it_dies_with_the_runtime_and_the_pods_live_on(shell: PodShell):
    await start(shell, "pod-2")
    pids = [sandbox.pid for sandbox in await shell.client.sandboxes()]
    shell.process.kill()
    await eventually(lambda: zygotes(shell) == [])
    assert set(pids) <= set(shell.process.pids)


async def test_pause_processes_that_end_are_reaped_while_it_is_there(shell: PodShell):
    await start(shell, "pod-2")
    await shell.client.stop_sandbox("pod-2")

    async def no_zombies() -> bool:
        return "defunct" not in (await shell.exec_node("ps -eo stat,args"))[1]

    await eventually(no_zombies)
    await shell.client.stop_node("node-1")
    await eventually(lambda: shell.process.pids == [shell.process.pid])


async def test_a_node_that_comes_again_has_a_new_one(shell: PodShell):
    await shell.client.stop_node("node-1")
    await shell.start_pod()
    await start(shell, "pod-2")
    assert len(zygotes(shell)) == 1
