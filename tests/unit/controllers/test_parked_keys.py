"""A bug that one object brings about parks that object, says so on it, and stops nobody else's."""

from __future__ import annotations

import asyncio

import pytest
from support.control_plane import control_plane

from fabric.api.kinds import EVENT, NAMESPACE, NODE, POD
from fabric.control import parking
from fabric.controllers.garbage_collector import GarbageCollector
from fabric.controllers.namespaces import NamespaceController
from fabric.controllers.node_lifecycle import NodeLifecycleController
from fabric.controllers.pod_gc import PodGCController
from fabric.controllers.serviceaccounts import ServiceAccountController
from fabric.controllers.taint_eviction import TaintEvictionController


def poisoned(monkeypatch, controller, name):
    """The controller stumbles over each object of that name (or, for uids, over every object)."""
    reconcile = controller.reconcile

    async def stumbling(self, key):
        if name in (key, getattr(key, "name", key)) or controller is GarbageCollector:
            raise OverflowError("too large")
        await reconcile(self, key)

    monkeypatch.setattr(controller, "reconcile", stumbling)
    monkeypatch.setattr(parking, "_is_on", True)


async def told(plane):
    """Kind, name and component of each event of a parked object."""
    events = (await plane.client.list(EVENT)).items
    found = [event for event in events if event["reason"] == "FailedSync"]
    assert all("OverflowError: too large" in event["message"] for event in found)
    return {
        (e["involvedObject"]["kind"], e["involvedObject"]["name"], e["source"]["component"]) for e in found
    }


@pytest.mark.parametrize(
    ("controller", "expected"),
    [
        (NodeLifecycleController, ("Node", "poison", "node-controller")),
        (NamespaceController, ("Namespace", "poison", "namespace-controller")),
        (ServiceAccountController, ("Namespace", "poison", "service-account-controller")),
        (TaintEvictionController, ("Pod", "poison", "taint-eviction-controller")),
        (PodGCController, ("Pod", "poison", "pod-garbage-collector")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_parked_object_is_told_of_on_itself(monkeypatch, controller, expected):
    poisoned(monkeypatch, controller, "poison")
    async with control_plane(orphan_quarantine_seconds=1) as plane:
        for name in ("poison", "good"):
            await plane.add_namespace(name)
            await plane.add_node(name)
        taints = {"spec": {"taints": [{"key": "team", "effect": "NoExecute"}]}}
        if controller is TaintEvictionController:
            await plane.client.patch(NODE, "good", taints)
        where = "gone" if controller is PodGCController else "good"
        for name in ("poison", "other"):
            await plane.add_pod(name, where)
        await asyncio.sleep(5)
        assert await told(plane) == {expected}
        if expected[0] == "Pod":
            other = await plane.find(POD, "other", "default")
            assert other is None or "deletionTimestamp" in other["metadata"]
        await plane.client.delete(NAMESPACE, "good")
        await asyncio.sleep(5)
        assert await plane.find(NAMESPACE, "good") is None


async def test_an_object_that_the_garbage_collector_cannot_judge_is_told_of(monkeypatch):
    poisoned(monkeypatch, GarbageCollector, "")
    async with control_plane() as plane:
        owner = await plane.add_config_map("owner")
        await plane.add_config_map("map-1", owner)
        await asyncio.sleep(2)
        assert ("ConfigMap", "map-1", "garbage-collector") in await told(plane)
