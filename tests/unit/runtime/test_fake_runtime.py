"""The fake runtime on a virtual clock: scripts run to the millisecond."""

from __future__ import annotations

import asyncio
import signal

import pytest

from fabric.errors import FabricError
from fabric.runtime.contract import (
    ContainerSpec,
    ContainerStatus,
    DaemonSpec,
    HostSpec,
    SandboxSpec,
    StartError,
)
from fabric.runtime.fake import FakeRuntime
from fabric.runtime.fake_program import Program


async def pod(runtime: FakeRuntime, *argv: str) -> ContainerStatus:
    await runtime.start_node(HostSpec("node-1"))
    await runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1"))
    return await runtime.start_container(ContainerSpec("c1", "pod-1", "main", argv))


async def only(runtime: FakeRuntime) -> ContainerStatus:
    (status,) = await runtime.containers()
    return status


async def test_a_program_ends_when_its_script_says_so():
    runtime = FakeRuntime({"job": Program(seconds=3600, exit_code=7)})
    started = await pod(runtime, "job")
    await asyncio.sleep(3599.9)
    assert (await only(runtime)).state == "running"
    await asyncio.sleep(0.2)
    ended = await only(runtime)
    assert (ended.exit_code, ended.reason, ended.finished_at - started.started_at) == (7, "Error", 3600)


async def test_a_program_that_ignores_sigterm_dies_of_sigkill():
    runtime = FakeRuntime({"stubborn": Program(ignores=frozenset({signal.SIGTERM}))})
    await pod(runtime, "stubborn")
    await runtime.signal_container("c1", signal.SIGTERM)
    await asyncio.sleep(100)
    assert (await only(runtime)).state == "running"
    await runtime.signal_container("c1", signal.SIGKILL)
    assert (await only(runtime)).exit_code == 137


async def test_a_program_takes_its_time_to_stop_and_says_how():
    runtime = FakeRuntime({"server": Program(on_term=0, stops_in_seconds=2)})
    await pod(runtime, "server")
    await runtime.signal_container("c1", signal.SIGTERM)
    await asyncio.sleep(1.9)
    assert (await only(runtime)).state == "running"
    await asyncio.sleep(0.2)
    assert (await only(runtime)).reason == "Completed"


async def test_a_power_off_ends_the_nodes_pods():
    runtime = FakeRuntime()
    await pod(runtime, "server")
    await runtime.stop_node("node-1")
    (sandbox,) = await runtime.sandboxes()
    assert not sandbox.alive
    assert (await only(runtime)).exit_code == 137
    with pytest.raises(FabricError, match="node-1 does not run"):
        await runtime.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))


async def test_a_listener_hears_everything_first_and_each_ending_once():
    runtime = FakeRuntime({"job": Program(seconds=1)})
    events = runtime.events()
    assert await anext(events) == ""
    await pod(runtime, "job")
    assert [await anext(events), await anext(events)] == ["node/node-1", "pod-1"]
    await runtime.stop_node("node-1")
    runtime.restart()
    assert [await anext(events) for _ in range(3)] == ["node/node-1", "pod-1", ""]


async def test_an_exec_of_a_missing_program_is_a_start_error():
    runtime = FakeRuntime({"nothing": Program(start_error='exec: "nothing": not found')})
    await pod(runtime, "server")
    with pytest.raises(StartError, match="nothing"):
        await runtime.exec("c1", ["nothing"])
    assert await (await runtime.exec("c1", ["sh", "-c", "exit 3"])).wait() == 3


async def test_a_runtime_that_is_down_says_so():
    runtime = FakeRuntime()
    runtime.down = True
    with pytest.raises(FabricError, match="does not answer"):
        await runtime.containers()


async def test_a_daemons_new_starts_come_after_doubling_delays():
    runtime = FakeRuntime({"bird": Program(seconds=0.0, exit_code=1)})
    await runtime.start_node(HostSpec("node-1"))
    await runtime.start_daemon(DaemonSpec("node-1", "bird", ("bird",)))
    counts = []
    for seconds in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        await asyncio.sleep(seconds)
        counts.append(len(runtime.started_daemons))
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_a_daemon_that_lived_ten_seconds_comes_back_soon():
    runtime = FakeRuntime()
    await runtime.start_node(HostSpec("node-1"))
    await runtime.start_daemon(DaemonSpec("node-1", "bird", ("bird",), ("bird", "-R")))
    for _ in range(3):
        runtime.kill_daemon("node-1", "bird")
        await asyncio.sleep(1.0)
    await asyncio.sleep(10.0)
    runtime.kill_daemon("node-1", "bird")
    await asyncio.sleep(0.11)
    (status,) = await runtime.daemons()
    assert (status.restarts, status.pid > 0) == (4, True)
    assert runtime.started_daemons[1:] == [("node-1", "bird", ("bird", "-R"))] * 4
