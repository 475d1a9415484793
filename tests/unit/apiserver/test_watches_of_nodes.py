"""A kubelet's watch, on the pods of one node: it is told of them all, and costs nothing for others."""

import asyncio

import pytest
from support.registry import new_registry, pod

from fabric.api.kinds import POD
from fabric.api.selectors import FieldSelector
from fabric.apiserver import watch_cache
from fabric.apiserver.local import LocalClient
from fabric.apiserver.options import ListOptions
from fabric.apiserver.watching import WatchFilter
from fabric.store.memory import MemoryStore


async def now(registry):
    return (await registry.list(POD, "", ListOptions())).resource_version


async def take(events, count):
    """The next `count` events as (type, name)."""
    taken = []
    for _ in range(count):
        event, _ = await anext(events)
        taken.append((event.type, event.object["metadata"]["name"]))
    await events.aclose()
    return taken


def of_node(registry, name, version, **options):
    selector = FieldSelector.parse(f"spec.nodeName={name}")
    return registry.watch(POD, "", resource_version=version, field_selector=selector, **options)


async def bind(client, name, node):
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    await client.create(POD, binding, namespace="default", subresource="binding")


async def test_a_nodes_watch_is_told_of_its_pods_from_their_binding_to_their_end(registry, client):
    events = of_node(registry, "node-1", await now(registry))
    waiting = asyncio.create_task(take(events, 3))
    await asyncio.sleep(1)
    for name, node in (("pod-1", "node-2"), ("pod-2", "node-1")):
        await client.create(POD, pod(name), namespace="default")
        await bind(client, name, node)
    await client.patch(POD, "pod-2", {"metadata": {"labels": {"a": "b"}}}, namespace="default")
    for name in ("pod-1", "pod-2"):
        await client.delete(POD, name, "default", grace_period_seconds=0)
    assert await asyncio.wait_for(waiting, 5) == [
        ("ADDED", "pod-2"),
        ("MODIFIED", "pod-2"),
        ("DELETED", "pod-2"),
    ]


@pytest.mark.parametrize("is_bookmarked", [False, True])
async def test_a_nodes_watch_is_not_gone_however_much_happens_elsewhere(monkeypatch, is_bookmarked):
    monkeypatch.setattr(watch_cache, "CHANGES_MAX", 20)
    store = MemoryStore()
    async with new_registry(store) as registry:
        client = LocalClient(registry)
        events = of_node(registry, "node-1", await now(registry), bookmarks=True)
        waiting = asyncio.create_task(anext(events))
        await client.create(POD, pod("pod-2", nodeName="node-2"), namespace="default")
        for number in range(50):
            labels = {"metadata": {"labels": {"number": str(number)}}}
            await client.patch(POD, "pod-2", labels, namespace="default")
        if is_bookmarked:
            event, _ = await waiting
            assert event.type == "BOOKMARK"
            assert event.object["metadata"]["resourceVersion"] == await now(registry)
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(1)
        await client.create(POD, pod("pod-1", nodeName="node-1"), namespace="default")
        event, _ = await asyncio.wait_for(waiting, 5)
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "pod-1")
        await events.aclose()
    await store.close()


async def test_a_change_of_a_pod_costs_the_same_with_any_number_of_nodes(registry, client, monkeypatch):
    asked = []
    shows = WatchFilter.shows
    monkeypatch.setattr(WatchFilter, "shows", lambda self, item: asked.append(self) or shows(self, item))
    watches = []
    counts = []
    for name in ("pod-1", "pod-2", "pod-3"):
        for _ in range(20):
            watches.append(of_node(registry, f"node-{len(watches)}", await now(registry)))
            watches.append(asyncio.create_task(anext(watches[-1])))
        await asyncio.sleep(1)
        asked.clear()
        await client.create(POD, pod(name, nodeName="node-elsewhere"), namespace="default")
        await asyncio.sleep(1)
        counts.append(len(asked))
    assert counts[0] == counts[1] == counts[2]
    for task in watches[1::2]:
        task.cancel()
