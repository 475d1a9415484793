"""The runtime is killed and started again: what lives is adopted, what died is known to be dead."""

from __future__ import annotations

import os
import signal

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell, kernel
from support.runtime_contract import ended, status
from support.runtime_process import connected

from fabric.errors import FabricError
from fabric.runtime.contract import ContainerSpec, SandboxSpec


async def test_the_living_are_adopted_with_all_that_was_known(shell: PodShell):
    started = await shell.start("sleep", "1000", labels={"pod": "pod-1"})
    before = (await shell.client.nodes(), await shell.client.sandboxes(), await shell.client.containers())
    shell.process.kill()
    os.kill(started.pid, 0)
    shell.process.start()
    async with connected(shell.process) as client:
        assert (await client.nodes(), await client.sandboxes(), await client.containers()) == before
        spec = ContainerSpec(started.id, "pod-1", "main", ("sleep", "1000"))
        assert await client.start_container(spec) == started


async def test_an_adopted_container_can_be_stopped_and_its_end_is_told(shell: PodShell):
    started = await shell.start("sleep", "1000")
    shell.process.kill()
    shell.process.start()
    async with connected(shell.process) as client:
        events = client.events()
        assert await anext(events) == ""
        await client.signal_container(started.id, signal.SIGTERM)
        assert await anext(events) == "pod-1"
        end = await ended(client, started.id)
        expected = (143, "Error") if kernel() >= (6, 15) else (255, "ContainerStatusUnknown")
        assert (end.exit_code, end.reason) == expected
        await client.stop_sandbox("pod-1")
        await client.stop_node("node-1")
    assert shell.process.pids == [shell.process.pid]


async def test_what_died_unseen_is_of_unknown_status(shell: PodShell):
    started = await shell.start("sleep", "1000")
    shell.process.kill()
    os.kill(started.pid, signal.SIGKILL)
    await eventually(lambda: started.pid not in shell.process.pids)
    shell.process.start()
    async with connected(shell.process) as client:
        end = await status(client, started.id)
        assert end is not None
        assert (end.state, end.exit_code, end.reason) == ("exited", 255, "ContainerStatusUnknown")


async def test_a_node_that_died_unseen_took_its_pods_along(shell: PodShell):
    started = await shell.start("sleep", "1000")
    node = (await shell.client.nodes())["node-1"]
    shell.process.kill()
    os.kill(node, signal.SIGKILL)
    await eventually(lambda: shell.process.pids == [])
    shell.process.start()
    async with connected(shell.process) as client:

        async def is_known() -> bool:
            return await client.nodes() == {} and not (await client.sandboxes())[0].alive

        await eventually(is_known)
        assert (await ended(client, started.id)).exit_code == 255
        with pytest.raises(FabricError, match="node node-1 does not run"):
            await client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))


async def test_an_end_that_was_seen_is_remembered(shell: PodShell):
    started = await shell.start("sh", "-c", "exit 7")
    before = await ended(shell.client, started.id)
    shell.process.kill()
    shell.process.start()
    async with connected(shell.process) as client:
        assert await status(client, started.id) == before


async def test_the_client_says_that_the_runtime_is_away_and_comes_back_by_itself(shell: PodShell):
    events = shell.client.events()
    assert await anext(events) == ""
    shell.process.kill()
    await eventually(lambda: not shell.client.is_connected)
    with pytest.raises(FabricError, match="does not answer"):
        await shell.client.containers()
    shell.process.start()
    assert await anext(events) == ""
    assert len(await shell.client.sandboxes()) == 1


async def test_a_second_runtime_on_the_same_directory_refuses(shell: PodShell):
    first = shell.process._process
    shell.process.start()
    second = shell.process._process
    assert second is not None and second.wait(60) == 1
    shell.process._process = first
    assert len(await shell.client.sandboxes()) == 1


async def test_what_no_record_names_is_ended(shell: PodShell):
    """As if the runtime had been killed between the start of a program and its record."""
    started = await shell.start("sleep", "1000")
    kept = await shell.start("sleep", "1000")
    shell.process.kill()
    (shell.process.state / "containers" / f"{started.id}.json").unlink()
    shell.process.start()
    async with connected(shell.process) as client:
        assert [c.id for c in await client.containers()] == [kept.id]
        await eventually(lambda: started.pid not in shell.process.pids)
        assert kept.pid in shell.process.pids
        assert (await client.start_container(shell.spec("true"))).state == "running"
