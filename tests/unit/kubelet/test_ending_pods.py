"""How pods end: by deletion, by force, by having no object; and what is left of them, which is nothing."""

from __future__ import annotations

import signal

import pytest
from support.one_node import OneNode, after

from fabric.api.kinds import POD
from fabric.runtime.fake_program import Program

STUBBORN = {"nginx": Program(ignores=frozenset({signal.SIGTERM}))}


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


async def test_a_deleted_pod_gets_sigterm_and_leaves_nothing(node):
    async with node.kubelet():
        node.create()
        await after(1)
        uid, id = node.uid(), node.container_id()
        node.delete()
        await after(1)
        assert node.runtime.signals == [(id, signal.SIGTERM)]
        assert not node.exists()
        await after(1)
        assert await node.has_nothing_of(uid)
        assert ("Killing", "Stopping container main") in node.events()


async def test_who_ignores_sigterm_is_killed_after_the_grace_period(tmp_path):
    node = OneNode(tmp_path, STUBBORN)
    async with node.kubelet():
        node.create(terminationGracePeriodSeconds=10)
        await after(1)
        uid, id = node.uid(), node.container_id()
        node.delete()
        await after(9)
        assert node.exists()
        await after(3)
        assert node.runtime.signals == [(id, signal.SIGTERM), (id, signal.SIGKILL)]
        assert not node.exists()
        await after(1)
        assert await node.has_nothing_of(uid)


async def test_a_grace_of_zero_kills_at_once(tmp_path):
    node = OneNode(tmp_path, STUBBORN)
    async with node.kubelet():
        node.create()
        await after(1)
        id = node.container_id()
        node.delete(grace_seconds=0)
        await after(0.5)
        assert node.runtime.signals == [(id, signal.SIGKILL)]
        assert not node.exists()


async def test_a_restarted_kubelet_keeps_the_grace_period(tmp_path):
    node = OneNode(tmp_path, STUBBORN)
    async with node.kubelet():
        node.create(terminationGracePeriodSeconds=10)
        await after(1)
        node.delete()
        await after(6)
    async with node.kubelet():
        await after(6)
        assert not node.exists()


async def test_a_force_deleted_pod_is_cleaned_up(node):
    async with node.kubelet():
        node.create()
        await after(1)
        uid = node.uid()
        node.force_delete()
        await after(1)
        assert await node.has_nothing_of(uid)


async def test_a_pod_that_vanished_while_the_kubelet_was_away_is_cleaned_up(node):
    async with node.kubelet():
        node.create()
        await after(1)
        uid = node.uid()
    node.force_delete()
    async with node.kubelet():
        await after(1)
        assert await node.has_nothing_of(uid)
        assert node.agent.collected[-1] == frozenset()


async def test_a_successor_of_the_same_name_is_another_pod(node):
    async with node.kubelet():
        first = node.create()["metadata"]["uid"]
        await after(1)
        node.force_delete()
        second = node.create()["metadata"]["uid"]
        await after(1)
        assert first != second
        assert await node.has_nothing_of(first)
        assert node.status()["phase"] == "Running"


async def test_a_pod_with_a_finalizer_is_shown_as_ended(node):
    async with node.kubelet():
        pod = node.create()
        await after(1)
        node.api.put(POD, {**node.pod(), "metadata": {**node.pod()["metadata"], "finalizers": ["x/y"]}})
        node.delete()
        seen = []
        node.api.remove = lambda kind, key: seen.append(
            node.status()
        )  # the server keeps it for the finalizer
        await after(1)
        assert seen[0]["phase"] == "Failed"
        assert seen[0]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
        assert await node.has_nothing_of(pod["metadata"]["uid"])


async def test_a_pod_that_was_failed_by_others_is_stopped(node):
    async with node.kubelet():
        node.create()
        await after(1)
        pod = node.pod()
        node.api.put(POD, {**pod, "status": {**pod["status"], "phase": "Failed", "reason": "Evicted"}})
        await after(1)
        assert await node.runtime.sandboxes() == ()
        assert node.status()["reason"] == "Evicted"
        assert node.exists()


async def test_an_address_is_free_only_after_the_sandbox_is_gone(node):
    async with node.kubelet():
        node.create()
        await after(1)
        alive_at_release = []
        release = node.agent.delete

        async def watched(ref):
            alive_at_release.append(len(await node.runtime.sandboxes()))
            await release(ref)

        node.agent.delete = watched
        node.delete()
        await after(1)
        assert alive_at_release[0] == 0
