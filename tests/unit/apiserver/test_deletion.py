import asyncio

import pytest
from support.registry import config_map, pod

from fabric.api.kinds import CONFIG_MAP, NAMESPACE, POD
from fabric.api.objects import is_deleting
from fabric.api.selectors import LabelSelector
from fabric.apiserver.options import DeleteOptions, ListOptions
from fabric.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound


async def scheduled_pod(client, **meta):
    body = pod()
    body["metadata"].update(meta)
    await client.create(POD, body, namespace="default")
    binding = {"metadata": {"name": "pod-1"}, "target": {"kind": "Node", "name": "node-1"}}
    await client.create(POD, binding, namespace="default", subresource="binding")


async def is_gone(client, kind, name, namespace="default"):
    try:
        await client.get(kind, name, namespace)
    except NotFound:
        return True
    return False


async def test_a_pod_on_a_node_gets_its_grace_period(client):
    await scheduled_pod(client)
    await client.delete(POD, "pod-1", "default")
    meta = (await client.get(POD, "pod-1", "default"))["metadata"]
    assert meta["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert meta["deletionGracePeriodSeconds"] == 30


async def test_a_grace_of_ages_is_a_hundred_years(client):
    body = pod(terminationGracePeriodSeconds=2**62, nodeName="node-1")
    await client.create(POD, body, namespace="default")
    await client.delete(POD, "pod-1", "default")
    meta = (await client.get(POD, "pod-1", "default"))["metadata"]
    assert meta["deletionTimestamp"] == "2125-12-08T00:00:00Z"


async def test_a_second_delete_may_only_shorten_the_grace(client):
    await scheduled_pod(client)
    await client.delete(POD, "pod-1", "default", grace_period_seconds=20)
    await asyncio.sleep(5)
    await client.delete(POD, "pod-1", "default", grace_period_seconds=60)
    meta = (await client.get(POD, "pod-1", "default"))["metadata"]
    assert (meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:20Z", 20)
    await client.delete(POD, "pod-1", "default", grace_period_seconds=10)
    meta = (await client.get(POD, "pod-1", "default"))["metadata"]
    assert (meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:10Z", 10)
    await client.delete(POD, "pod-1", "default", grace_period_seconds=0)
    assert await is_gone(client, POD, "pod-1")


async def test_a_pod_on_no_node_goes_at_once(client):
    await client.create(POD, pod(), namespace="default")
    await client.delete(POD, "pod-1", "default")
    assert await is_gone(client, POD, "pod-1")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_ended_goes_at_once(client, phase):
    await scheduled_pod(client)
    await client.patch(POD, "pod-1", {"status": {"phase": phase}}, namespace="default", subresource="status")
    await client.delete(POD, "pod-1", "default")
    assert await is_gone(client, POD, "pod-1")


async def test_a_finalizer_holds_an_object_until_it_is_removed(client):
    held = config_map()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.create(CONFIG_MAP, held, namespace="default")
    await client.delete(CONFIG_MAP, "map-1", "default")
    assert is_deleting(await client.get(CONFIG_MAP, "map-1", "default"))
    await client.patch(CONFIG_MAP, "map-1", {"metadata": {"finalizers": None}}, namespace="default")
    assert await is_gone(client, CONFIG_MAP, "map-1")


async def test_no_finalizer_can_be_added_to_what_is_being_deleted(client):
    held = config_map()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.create(CONFIG_MAP, held, namespace="default")
    await client.delete(CONFIG_MAP, "map-1", "default")
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
        await client.patch(CONFIG_MAP, "map-1", more, namespace="default")


async def test_removing_the_finalizer_of_a_pod_in_its_grace_does_not_end_the_grace(client):
    await scheduled_pod(client, finalizers=["example.com/hold"])
    await client.delete(POD, "pod-1", "default")
    await client.patch(POD, "pod-1", {"metadata": {"finalizers": []}}, namespace="default")
    assert not await is_gone(client, POD, "pod-1")
    await client.delete(POD, "pod-1", "default", grace_period_seconds=0)
    assert await is_gone(client, POD, "pod-1")


async def test_a_pod_whose_grace_is_over_waits_for_its_finalizer(client):
    await scheduled_pod(client, finalizers=["example.com/hold"])
    await client.delete(POD, "pod-1", "default", grace_period_seconds=0)
    assert not await is_gone(client, POD, "pod-1")
    await client.patch(POD, "pod-1", {"metadata": {"finalizers": []}}, namespace="default")
    assert await is_gone(client, POD, "pod-1")


@pytest.mark.parametrize(
    ("propagation", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])]
)
async def test_propagation_leaves_its_finalizer_for_the_garbage_collector(client, propagation, finalizers):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    await client.delete(CONFIG_MAP, "map-1", "default", propagation=propagation)
    meta = (await client.get(CONFIG_MAP, "map-1", "default"))["metadata"]
    assert meta["finalizers"] == finalizers


async def test_an_unknown_propagation_is_a_bad_request(client):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    with pytest.raises(BadRequest, match='Invalid value: "Sideways"'):
        await client.delete(CONFIG_MAP, "map-1", "default", propagation="Sideways")


async def test_a_uid_is_a_precondition(client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    with pytest.raises(Conflict, match="UID in precondition: another"):
        await client.delete(CONFIG_MAP, "map-1", "default", uid="another")
    await client.delete(CONFIG_MAP, "map-1", "default", uid=made["metadata"]["uid"])


async def test_a_resource_version_is_a_precondition(registry, client):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    with pytest.raises(Conflict, match="ResourceVersion in precondition: 1"):
        await registry.delete(CONFIG_MAP, "default", "map-1", DeleteOptions(resource_version="1"))


async def test_a_namespace_stays_until_its_finalizers_are_gone(client):
    await client.create(NAMESPACE, {"metadata": {"name": "team"}})
    await client.delete(NAMESPACE, "team")
    namespace = await client.get(NAMESPACE, "team")
    assert (namespace["status"]["phase"], namespace["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    without = {**namespace, "spec": {"finalizers": []}}
    await client.update(NAMESPACE, without)
    assert not await is_gone(client, NAMESPACE, "team", "")
    await client.update(NAMESPACE, without, subresource="finalize")
    assert await is_gone(client, NAMESPACE, "team", "")


async def test_the_systems_namespaces_cannot_be_deleted(client):
    with pytest.raises(
        Forbidden, match='namespaces "default" is forbidden: this namespace may not be deleted'
    ):
        await client.delete(NAMESPACE, "default")


async def test_a_collection_is_deleted_by_selector(registry, client):
    for i in range(3):
        labelled = config_map(f"map-{i}")
        labelled["metadata"]["labels"] = {"odd": str(i % 2)}
        await client.create(CONFIG_MAP, labelled, namespace="default")
    selected = ListOptions(label_selector=LabelSelector.parse("odd=0"))
    page = await registry.delete_collection(CONFIG_MAP, "default", selected, DeleteOptions())
    assert [obj["metadata"]["name"] for obj in page.items] == ["map-0", "map-2"]
    assert [obj["metadata"]["name"] for obj in (await client.list(CONFIG_MAP)).items] == ["map-1"]


async def test_an_evicted_pod_is_a_deleted_pod(client):
    await scheduled_pod(client)
    eviction = {"metadata": {"name": "pod-1"}, "deleteOptions": {"gracePeriodSeconds": 7}}
    answer = await client.create(POD, eviction, namespace="default", subresource="eviction")
    assert (answer["status"], answer["code"]) == ("Success", 201)
    assert (await client.get(POD, "pod-1", "default"))["metadata"]["deletionGracePeriodSeconds"] == 7
