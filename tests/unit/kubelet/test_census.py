"""The census: one event stream for all nodes of a process, and never older than what was done."""

from __future__ import annotations

import asyncio
import contextlib

from support.owned_task import running

from fabric.errors import FabricError
from fabric.kubelet.census import Census
from fabric.runtime.contract import ContainerSpec, NodeSpec, SandboxSpec
from fabric.runtime.fake import FakeRuntime


async def pod(census: Census, node: str) -> str:
    await census.runtime.start_node(NodeSpec(node))
    id = f"uid-{node}"
    await census.start_sandbox(SandboxSpec(id, node, "pod"))
    await census.start_container(ContainerSpec(f"c-{node}", id, "main", ("nginx",)))
    return id


async def test_a_node_hears_of_its_own_sandboxes_only():
    runtime = FakeRuntime()
    census = Census(runtime)
    told = {"node-1": [], "node-2": []}
    async with running(census.run()):
        await census.known()
        first, second = await pod(census, "node-1"), await pod(census, "node-2")
        for node, ids in told.items():
            census.listen(node, ids.append)
        runtime.end_container("c-node-2", 3)
        await asyncio.sleep(1)
        assert told == {"node-1": [], "node-2": [second]}
        assert census.containers(second)[0].exit_code == 3
        assert census.containers(first)[0].state == "running"


async def test_a_read_that_was_overtaken_by_a_start_is_made_again():
    runtime = FakeRuntime()
    census = Census(runtime)
    async with running(census.run()):
        await census.known()
        id = await pod(census, "node-1")
        read, gate = runtime.containers, asyncio.Event()

        async def slow(sandbox=""):
            seen = await read(sandbox)
            await gate.wait()
            return seen

        runtime.containers = slow
        runtime.end_container("c-node-1", 1)
        await asyncio.sleep(0.1)
        await census.start_container(ContainerSpec("second", id, "main", ("nginx",)))
        gate.set()
        await asyncio.sleep(0.1)
        assert {each.id for each in census.containers(id)} == {"c-node-1", "second"}


async def test_a_dead_pause_process_is_noticed():
    runtime = FakeRuntime()
    census = Census(runtime)
    async with running(census.run()):
        await census.known()
        id = await pod(census, "node-1")
        runtime.kill_sandbox(id)
        await asyncio.sleep(1)
        assert census.sandbox(id) is not None
        assert not census.sandbox(id).alive
        assert census.ready


async def test_a_pause_process_that_died_while_something_was_done_to_its_pod_is_noticed_all_the_same():
    runtime = FakeRuntime()
    census = Census(runtime)
    async with running(census.run()):
        await census.known()
        id = await pod(census, "node-1")
        read, gate = runtime.sandboxes, asyncio.Event()

        async def slow():
            seen = await read()
            await gate.wait()
            return seen

        runtime.sandboxes = slow
        runtime.kill_sandbox(id)
        await asyncio.sleep(0.2)
        with contextlib.suppress(FabricError):
            await census.start_container(ContainerSpec("second", id, "main", ("nginx",)))
        gate.set()
        await asyncio.sleep(1)
        assert not census.sandbox(id).alive
