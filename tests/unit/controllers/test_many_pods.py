"""The cost of a change does not grow with the number of pods: who has nothing to do is not woken."""

import asyncio
from collections import Counter

import pytest
from support.control_plane import control_plane, controllers_on
from support.registry import START, new_registry

from fabric.api.kinds import NAMESPACE, NODE, POD
from fabric.apiserver.local import LocalClient
from fabric.control.client import STRATEGIC
from fabric.control.clock import LoopClock
from fabric.controllers.node_lifecycle import NodeLifecycleController
from fabric.controllers.pod_gc import PodGCController
from fabric.controllers.taint_eviction import TaintEvictionController
from fabric.errors import NotFound

PODS = 60


@pytest.fixture
def passes(monkeypatch):
    """How often each controller reconciled."""
    counted = Counter()
    for controller in (PodGCController, TaintEvictionController, NodeLifecycleController):

        def counting(self, key, name=controller.__name__, reconcile=controller.reconcile):
            counted[name] += 1
            return reconcile(self, key)

        monkeypatch.setattr(controller, "reconcile", counting)
    return counted


async def test_pods_that_come_up_on_a_healthy_node_wake_nobody_who_looks_for_lost_ones(passes):
    async with control_plane() as plane:
        await plane.add_node("node-1")
        await asyncio.sleep(1)
        before = passes["NodeLifecycleController"]
        for n in range(PODS):
            await plane.add_pod(f"pod-{n}", "node-1")
        await asyncio.sleep(1)
        assert passes["PodGCController"] == passes["TaintEvictionController"] == 0
        assert passes["NodeLifecycleController"] == before


async def test_pods_of_a_tainted_node_are_looked_at(passes):
    async with control_plane() as plane:
        await plane.add_node("node-1")
        change = {"spec": {"taints": [{"key": "team", "effect": "NoExecute"}]}}
        await plane.client.patch(NODE, "node-1", change, patch_type=STRATEGIC)
        await asyncio.sleep(1)
        await plane.add_pod("pod-1", "node-1")
        await asyncio.sleep(1)
        assert passes["TaintEvictionController"] > 0
        assert "deletionTimestamp" in (await plane.client.get(POD, "pod-1", "default"))["metadata"]


class Counting(LocalClient):
    """A client that counts lists of pods."""

    lists = 0

    async def list(self, kind, *arguments, **options):
        self.lists += kind is POD
        return await super().list(kind, *arguments, **options)


async def test_a_namespace_that_empties_pod_by_pod_is_not_listed_for_each():
    clock = LoopClock(START)
    async with new_registry() as registry:
        client = Counting(registry)
        user = LocalClient(registry)
        async with controllers_on(client, clock):
            await user.create(NAMESPACE, {"metadata": {"name": "work"}})
            await user.create(NODE, {"metadata": {"name": "node-1"}})
            containers = [{"name": "main", "image": "busybox"}]
            for n in range(PODS):
                spec = {"nodeName": "node-1", "containers": containers}
                await user.create(POD, {"metadata": {"name": f"pod-{n}", "namespace": "work"}, "spec": spec})
            await user.delete(NAMESPACE, "work")
            await asyncio.sleep(1)
            client.lists = 0
            for n in range(PODS):
                await user.delete(POD, f"pod-{n}", "work", grace_period_seconds=0)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            with pytest.raises(NotFound):
                await user.get(NAMESPACE, "work")
            assert client.lists < 10
