"""What every Runtime does: the suite that the real one and the fake one are both held to."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from fabric.errors import FabricError
from fabric.runtime.contract import (
    ContainerSpec,
    ContainerStatus,
    HostSpec,
    Runtime,
    RuntimeRefused,
    SandboxSpec,
)
from fabric.runtime.wire import concerns_nodes, node_event
from support.eventually import eventually


async def start_pod(runtime: Runtime, pod: str = "pod-1", node: str = "node-1") -> None:
    await runtime.start_node(HostSpec(node))
    await runtime.start_sandbox(SandboxSpec(pod, node, pod))


def container(*argv: str, pod: str = "pod-1") -> ContainerSpec:
    return ContainerSpec(uuid.uuid4().hex * 2, pod, "main", argv, labels={"restart": "0"})


async def status(runtime: Runtime, id: str) -> ContainerStatus | None:
    return next((c for c in await runtime.containers() if c.id == id), None)


async def ended(runtime: Runtime, id: str) -> ContainerStatus:
    async def look() -> ContainerStatus | None:
        found = await status(runtime, id)
        return found if found and found.state == "exited" else None

    found = await eventually(look)
    assert found is not None
    return found


class RuntimeContract:
    """Subclasses give a fixture `runtime`."""

    async def test_a_node_is_started_once_and_has_one_pid(self, runtime: Runtime):
        pid = await runtime.start_node(HostSpec("node-1"))
        assert await runtime.start_node(HostSpec("node-1")) == pid
        assert await runtime.nodes() == {"node-1": pid}

    async def test_the_start_and_the_end_of_a_node_are_told(self, runtime: Runtime):
        events = runtime.events()
        assert concerns_nodes(await anext(events))
        await runtime.start_node(HostSpec("node-1"))
        assert await asyncio.wait_for(anext(events), 60) == node_event("node-1")
        assert list(await runtime.nodes()) == ["node-1"]
        await runtime.stop_node("node-1")
        assert await asyncio.wait_for(anext(events), 60) == node_event("node-1")
        assert list(await runtime.nodes()) == []

    async def test_a_sandbox_needs_its_node(self, runtime: Runtime):
        with pytest.raises(FabricError, match="node node-1 does not run"):
            await runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1"))

    async def test_what_is_no_capability_is_refused(self, runtime: Runtime):
        await start_pod(runtime)
        with pytest.raises(RuntimeRefused, match="NET_ADMIRAL: Linux has none of this name"):
            await runtime.start_container(replace(container("sleep", "1"), capabilities=("NET_ADMIRAL",)))
        assert list(await runtime.containers()) == []

    async def test_a_sandbox_that_is_asked_for_twice_at_once_is_one(self, runtime: Runtime):
        await runtime.start_node(HostSpec("node-1"))
        spec = SandboxSpec("pod-1", "node-1", "pod-1")
        first, second = await asyncio.gather(runtime.start_sandbox(spec), runtime.start_sandbox(spec))
        assert first == second
        assert list(await runtime.sandboxes()) == [first]

    async def test_a_sandbox_that_is_stopped_while_it_starts_is_gone(self, runtime: Runtime):
        await runtime.start_node(HostSpec("node-1"))
        starting = asyncio.create_task(runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1")))
        await asyncio.sleep(0)
        await runtime.stop_sandbox("pod-1")
        await starting
        assert list(await runtime.sandboxes()) == []

    async def test_a_sandbox_is_started_once(self, runtime: Runtime):
        await start_pod(runtime)
        again = await runtime.start_sandbox(SandboxSpec("pod-1", "node-1", "pod-1"))
        assert list(await runtime.sandboxes()) == [again]
        assert (again.id, again.node, again.alive) == ("pod-1", "node-1", True)

    async def test_a_container_needs_its_sandbox(self, runtime: Runtime):
        with pytest.raises(FabricError, match="sandbox pod-1 does not run"):
            await runtime.start_container(container("true"))

    async def test_a_container_is_started_once_and_keeps_its_labels(self, runtime: Runtime):
        await start_pod(runtime)
        spec = container("sleep", "1000")
        first = await runtime.start_container(spec)
        assert await runtime.start_container(spec) == first
        assert (first.state, first.exit_code, first.labels) == ("running", None, {"restart": "0"})

    @pytest.mark.parametrize(
        ("argv", "code", "reason"),
        [
            (("true",), 0, "Completed"),
            (("false",), 1, "Error"),
            (("sh", "-c", "exit 3"), 3, "Error"),
            (("sh", "-c", "exit 255"), 255, "Error"),
        ],
    )
    async def test_an_exit_code_is_exact(
        self, runtime: Runtime, argv: tuple[str, ...], code: int, reason: str
    ):
        await start_pod(runtime)
        started = await runtime.start_container(container(*argv))
        end = await ended(runtime, started.id)
        assert (end.exit_code, end.signal, end.reason) == (code, 0, reason)
        assert end.finished_at >= end.started_at > 1e9

    async def test_a_nul_byte_is_refused_and_harms_nothing(self, runtime: Runtime):
        await start_pod(runtime)
        for spec in (container("echo", "a\0b"), replace(container("true"), env={"NAME": "a\0b"})):
            with pytest.raises(RuntimeRefused, match="NUL byte"):
                await runtime.start_container(spec)
        assert (await runtime.start_container(container("sleep", "1000"))).state == "running"

    async def test_an_empty_program_name_is_a_program_that_is_not_there(self, runtime: Runtime):
        await start_pod(runtime)
        end = await runtime.start_container(container(""))
        assert (end.state, end.exit_code, end.reason) == ("exited", 127, "StartError")
        assert end.message == 'exec: "": executable file not found in $PATH'

    @pytest.mark.parametrize("number", [15, 9, 1])
    async def test_a_signal_ends_a_program_with_its_number(self, runtime: Runtime, number: int):
        await start_pod(runtime)
        started = await runtime.start_container(container("sleep", "1000"))
        await runtime.signal_container(started.id, number)
        end = await ended(runtime, started.id)
        assert (end.exit_code, end.signal, end.reason) == (128 + number, number, "Error")

    async def test_listeners_hear_all_first_and_then_what_ended(self, runtime: Runtime):
        await start_pod(runtime)
        events = runtime.events()
        assert await anext(events) == ""
        started = await runtime.start_container(container("sleep", "1000"))
        await runtime.signal_container(started.id, 9)
        assert await anext(events) == "pod-1"
        assert (await ended(runtime, started.id)).exit_code == 137

    async def test_removing_kills_and_forgets(self, runtime: Runtime):
        await start_pod(runtime)
        started = await runtime.start_container(container("sleep", "1000"))
        await runtime.remove_container(started.id)
        assert await runtime.containers() == ()
        await runtime.remove_container(started.id)

    async def test_a_stopped_sandbox_is_forgotten_with_its_containers(self, runtime: Runtime):
        await start_pod(runtime)
        await runtime.start_container(container("sleep", "1000"))
        await runtime.start_container(container("true"))
        await runtime.stop_sandbox("pod-1")
        assert (await runtime.sandboxes(), await runtime.containers()) == ((), ())
        await runtime.stop_sandbox("pod-1")

    async def test_a_power_off_ends_the_nodes_pods_and_no_others(self, runtime: Runtime):
        await start_pod(runtime, "pod-1", "node-1")
        await start_pod(runtime, "pod-2", "node-2")
        lost = await runtime.start_container(container("sleep", "1000"))
        kept = await runtime.start_container(container("sleep", "1000", pod="pod-2"))
        await runtime.stop_node("node-1")
        assert list(await runtime.nodes()) == ["node-2"]
        assert (await ended(runtime, lost.id)).exit_code == 137

        async def only_one_is_dead() -> bool:
            return {s.id: s.alive for s in await runtime.sandboxes()} == {"pod-1": False, "pod-2": True}

        await eventually(only_one_is_dead)
        assert [c.id for c in await runtime.containers("pod-2")] == [kept.id]
        with pytest.raises(FabricError, match="sandbox pod-1 does not run"):
            await runtime.start_container(container("true"))

    async def test_a_node_comes_back_after_a_power_off(self, runtime: Runtime):
        await start_pod(runtime)
        await runtime.stop_node("node-1")
        await runtime.stop_sandbox("pod-1")
        await start_pod(runtime)
        started = await runtime.start_container(container("true"))
        assert (await ended(runtime, started.id)).exit_code == 0

    async def test_an_exec_gives_its_exit_code(self, runtime: Runtime):
        await start_pod(runtime)
        started = await runtime.start_container(container("sleep", "1000"))
        session = await runtime.exec(started.id, ["sh", "-c", "exit 4"])
        assert await session.wait() == 4
        assert await (await runtime.exec_node("node-1", ["false"])).wait() == 1

    async def test_an_exec_dies_of_a_signal(self, runtime: Runtime):
        await start_pod(runtime)
        started = await runtime.start_container(container("sleep", "1000"))
        session = await runtime.exec(started.id, ["sleep", "1000"])
        await session.signal(15)
        assert await session.wait() == 143

    async def test_an_exec_needs_a_running_container(self, runtime: Runtime):
        with pytest.raises(FabricError, match="container nothing does not run"):
            await runtime.exec("nothing", ["true"])
        with pytest.raises(FabricError, match="node nothing does not run"):
            await runtime.exec_node("nothing", ["true"])
