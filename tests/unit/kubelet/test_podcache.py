"""The pod_cache: one event stream for all nodes of a process, and never older than what was done."""

from __future__ import annotations

import asyncio
import contextlib

from support.owned_task import running

from fabric.errors import FabricError
from fabric.kubelet.podcache import PodCache
from fabric.runtime.contract import ContainerSpec, HostSpec, SandboxSpec
from fabric.runtime.fake import FakeRuntime


async def pod(pod_cache: PodCache, node: str) -> str:
    await pod_cache.runtime.start_node(HostSpec(node))
    id = f"uid-{node}"
    await pod_cache.start_sandbox(SandboxSpec(id, node, "pod"))
    await pod_cache.start_container(ContainerSpec(f"c-{node}", id, "main", ("nginx",)))
    return id


async def test_a_node_hears_of_its_own_sandboxes_only():
    runtime = FakeRuntime()
    pod_cache = PodCache(runtime)
    told = {"node-1": [], "node-2": []}
    async with running(pod_cache.run()):
        await pod_cache.known()
        first, second = await pod(pod_cache, "node-1"), await pod(pod_cache, "node-2")
        for node, ids in told.items():
            pod_cache.listen(node, ids.append)
        runtime.end_container("c-node-2", 3)
        await asyncio.sleep(1)
        assert told == {"node-1": [], "node-2": [second]}
        assert pod_cache.containers(second)[0].exit_code == 3
        assert pod_cache.containers(first)[0].state == "running"


async def test_a_read_that_was_overtaken_by_a_start_is_made_again():
    runtime = FakeRuntime()
    pod_cache = PodCache(runtime)
    async with running(pod_cache.run()):
        await pod_cache.known()
        id = await pod(pod_cache, "node-1")
        read, gate = runtime.containers, asyncio.Event()

        async def slow(sandbox=""):
            seen = await read(sandbox)
            await gate.wait()
            return seen

        runtime.containers = slow
        runtime.end_container("c-node-1", 1)
        await asyncio.sleep(0.1)
        await pod_cache.start_container(ContainerSpec("second", id, "main", ("nginx",)))
        gate.set()
        await asyncio.sleep(0.1)
        assert {each.id for each in pod_cache.containers(id)} == {"c-node-1", "second"}


async def test_a_dead_pause_process_is_noticed():
    runtime = FakeRuntime()
    pod_cache = PodCache(runtime)
    async with running(pod_cache.run()):
        await pod_cache.known()
        id = await pod(pod_cache, "node-1")
        runtime.kill_sandbox(id)
        await asyncio.sleep(1)
        assert pod_cache.sandbox(id) is not None
        assert not pod_cache.sandbox(id).alive
        assert pod_cache.ready


async def test_a_pause_process_that_died_while_something_was_done_to_its_pod_is_noticed_all_the_same():
    runtime = FakeRuntime()
    pod_cache = PodCache(runtime)
    async with running(pod_cache.run()):
        await pod_cache.known()
        id = await pod(pod_cache, "node-1")
        read, gate = runtime.sandboxes, asyncio.Event()

        async def slow():
            seen = await read()
            await gate.wait()
            return seen

        runtime.sandboxes = slow
        runtime.kill_sandbox(id)
        await asyncio.sleep(0.2)
        with contextlib.suppress(FabricError):
            await pod_cache.start_container(ContainerSpec("second", id, "main", ("nginx",)))
        gate.set()
        await asyncio.sleep(1)
        assert not pod_cache.sandbox(id).alive
