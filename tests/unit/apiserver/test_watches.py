import asyncio
import gc

import pytest
from support.registry import config_map, new_registry, pod

from fabric.api.kinds import CONFIG_MAP, NAMESPACE, NODE, POD
from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.options import ListOptions, WriteOptions
from fabric.apiserver.watch_cache import CHANGES_BYTES_MAX, CHANGES_MAX, Item
from fabric.errors import BadRequest, Gone, Timeout
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put

MEBIBYTE = 1 << 20


async def now(registry, kind=CONFIG_MAP):
    return (await registry.list(kind, "", ListOptions())).resource_version


async def take(events, count):
    """The next `count` events as (type, name)."""
    taken = []
    async for event, _ in events:
        taken.append((event.type, event.object["metadata"].get("name", "")))
        if len(taken) == count:
            break
    await events.aclose()
    return taken


async def test_a_watch_tells_what_happens_in_order(registry, client):
    events = registry.watch(CONFIG_MAP, "default", resource_version=await now(registry))
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "1"}}, namespace="default")
    await client.delete(CONFIG_MAP, "map-1", "default")
    assert await take(events, 3) == [("ADDED", "map-1"), ("MODIFIED", "map-1"), ("DELETED", "map-1")]


async def test_a_watcher_that_waits_is_woken(registry, client):
    events = registry.watch(CONFIG_MAP, "default", resource_version=await now(registry))
    waiting = asyncio.create_task(take(events, 1))
    await asyncio.sleep(10)
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    assert await waiting == [("ADDED", "map-1")]


@pytest.mark.parametrize("version", ["", "0"])
async def test_a_watch_from_no_version_begins_with_what_is_there(registry, client, version):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    events = registry.watch(CONFIG_MAP, "", resource_version=version)
    assert await take(events, 1) == [("ADDED", "map-1")]


async def test_initial_events_end_with_a_bookmark_that_says_so(registry, client):
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    events = registry.watch(CONFIG_MAP, "", resource_version="", bookmarks=True, send_initial_events=True)
    types = []
    async for event, _ in events:
        types.append(event.type)
        if event.type == "BOOKMARK":
            break
    assert types == ["ADDED", "BOOKMARK"]
    assert event.object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert event.object["metadata"]["resourceVersion"] == await now(registry)


async def test_a_bookmark_comes_each_minute_and_carries_the_version_on(registry, client):
    events = registry.watch(CONFIG_MAP, "", resource_version=await now(registry), bookmarks=True)
    await client.create(NODE, {"metadata": {"name": "node-1"}})
    start = asyncio.get_running_loop().time()
    event, _ = await anext(events)
    assert event.type == "BOOKMARK"
    assert asyncio.get_running_loop().time() - start == 60
    assert event.object["metadata"]["resourceVersion"] == await now(registry)


async def test_a_bookmark_is_never_ahead_of_an_event_that_is_still_to_come(registry, client):
    """The minute is over, and before the watcher gets to run something happens."""
    events = registry.watch(CONFIG_MAP, "", resource_version=await now(registry), bookmarks=True)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(anext(events))
    minute_is_over = loop.time() + 60
    await asyncio.sleep(55)
    cache, arrived = registry._cacher, []
    apply, cache._apply = cache._apply, arrived.extend
    created = asyncio.create_task(client.create(CONFIG_MAP, config_map(), namespace="default"))
    # In the same turn of the loop as the timer, and after it.
    loop.call_at(minute_is_over + 1e-10, lambda: apply(arrived))
    seen = 0
    for sent in [await waiting, await anext(events)]:
        version = int(sent[0].object["metadata"]["resourceVersion"])
        is_ahead = version == seen and sent[0].type != "BOOKMARK"
        assert version >= seen and not is_ahead, f"{sent[0].type} of {version} comes after {seen}"
        seen = version
    await created


async def test_two_changes_of_one_revision_are_both_told(registry, client):
    """A selector passes the first over: the second has the same revision, and must not be taken for seen."""
    for name in ("map-1", "map-2"):
        await client.create(CONFIG_MAP, config_map(name), namespace="default")
    selector = FieldSelector.parse("metadata.name=map-2")
    events = registry.watch(CONFIG_MAP, "", resource_version=await now(registry), field_selector=selector)
    waiting = asyncio.create_task(take(events, 1))
    await asyncio.sleep(1)
    gone = [Delete("/registry/configmaps/default/map-1"), Delete("/registry/configmaps/default/map-2")]
    await registry._store.txn([], gone)
    assert await asyncio.wait_for(waiting, 5) == [("DELETED", "map-2")]


async def test_a_watch_from_the_future_tells_only_what_is_after_it(registry, client):
    future = str(int(await now(registry)) + 2)
    events = registry.watch(CONFIG_MAP, "", resource_version=future)
    waiting = asyncio.create_task(take(events, 1))
    await asyncio.sleep(30)
    for name in ("map-1", "map-2", "map-3"):
        await client.create(CONFIG_MAP, config_map(name), namespace="default")
    assert await waiting == [("ADDED", "map-3")]


async def test_reads_of_the_future_wait_three_seconds_and_say_when_to_ask_again(registry):
    current = int(await now(registry))
    loop = asyncio.get_running_loop()
    initial = registry.watch(
        CONFIG_MAP, "", resource_version=str(current + 9), bookmarks=True, send_initial_events=True
    )
    for read in (
        registry.list(CONFIG_MAP, "", ListOptions(resource_version=str(current + 9))),
        registry.get(NAMESPACE, "", "default", resource_version=str(current + 9)),
        anext(initial),
    ):
        start = loop.time()
        with pytest.raises(Timeout) as refused:
            await read
        assert loop.time() - start == 3
        assert refused.value.message == (
            f"Timeout: Too large resource version: {current + 9}, current: {current}"
        )
        assert refused.value.details == {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }


async def test_what_somebody_wrote_into_the_store_by_hand_ends_nothing(registry, client):
    store = registry._store
    odd = [b"\xff", b"[]", b'{"metadata":{"name":5}}', b'{"metadata":{"name":"x","labels":[1]}}', b"[" * 999]
    for i, value in enumerate([*odd, b'{"metadata":{"name":"x","finalizers":[{}]}}']):
        await store.txn([], [Put(f"/registry/configmaps/default/odd-{i}", value)])
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    listed = await registry.list(CONFIG_MAP, "default", ListOptions(LabelSelector.parse("a!=b")))
    assert [obj["metadata"]["name"] for obj in listed.items] == ["map-1"]


async def test_an_object_that_begins_or_ceases_to_match_is_added_or_deleted(registry, client):
    events = registry.watch(
        CONFIG_MAP, "", resource_version=await now(registry), label_selector=LabelSelector.parse("on=yes")
    )
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    for value in ("yes", "yes", "no", "no"):
        patch = {"metadata": {"labels": {"on": value}}, "data": {"turn": value}}
        await client.patch(CONFIG_MAP, "map-1", patch, namespace="default")
    await client.patch(CONFIG_MAP, "map-1", {"metadata": {"labels": {"on": "yes"}}}, namespace="default")
    last = await client.get(CONFIG_MAP, "map-1", "default")
    taken = []
    async for event, _ in events:
        taken.append(event.type)
        if event.object["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]:
            break
    assert taken == ["ADDED", "DELETED", "ADDED"]


async def test_what_ceases_to_match_is_deleted_as_it_last_matched_at_the_new_version(registry, client):
    await client.create(POD, pod(), namespace="default")
    pending = FieldSelector.parse("status.phase=Pending")
    events = registry.watch(POD, "", resource_version=await now(registry), field_selector=pending)
    patch = {"status": {"phase": "Running"}}
    after = await client.patch(POD, "pod-1", patch, namespace="default", subresource="status")
    event, data = await anext(events)
    assert (event.type, event.object["status"]["phase"]) == ("DELETED", "Pending")
    assert event.object["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    assert b'"Pending"' in data


async def test_a_watch_of_one_namespace_is_not_told_of_others(registry, client):
    events = registry.watch(CONFIG_MAP, "default", resource_version=await now(registry))
    await client.create(CONFIG_MAP, config_map("other"), namespace="kube-system")
    await client.create(CONFIG_MAP, config_map("mine"), namespace="default")
    assert await take(events, 1) == [("ADDED", "mine")]


async def test_a_watch_from_a_version_that_is_forgotten_is_gone(registry, client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    for i in range(CHANGES_MAX + 1):
        await client.patch(CONFIG_MAP, "map-1", {"data": {"a": str(i)}}, namespace="default")
    events = registry.watch(CONFIG_MAP, "", resource_version=made["metadata"]["resourceVersion"])
    with pytest.raises(Gone, match="too old resource version"):
        await anext(events)


async def test_large_changes_are_forgotten_before_they_fill_the_memory(registry, client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    await fill_the_ring(client)
    events = registry.watch(CONFIG_MAP, "", resource_version=made["metadata"]["resourceVersion"])
    with pytest.raises(Gone, match="too old resource version"):
        await anext(events)
    assert bytes_of_items() < CHANGES_BYTES_MAX + 4 * MEBIBYTE


async def test_a_watcher_whose_client_does_not_read_keeps_no_more_than_a_portion_in_memory(registry, client):
    made = await client.create(CONFIG_MAP, config_map(), namespace="default")
    for i in range(40):
        await client.patch(CONFIG_MAP, "map-1", large(i), namespace="default")
    events = registry.watch(CONFIG_MAP, "", resource_version=made["metadata"]["resourceVersion"])
    await anext(events)
    await fill_the_ring(client)
    assert bytes_of_items() < CHANGES_BYTES_MAX + 8 * MEBIBYTE


def large(number: int):
    return {"data": {"a": f"{number:010}" + "a" * (MEBIBYTE - 10 - len("a"))}}


async def fill_the_ring(client):
    for i in range(CHANGES_BYTES_MAX // MEBIBYTE + 1):
        await client.patch(CONFIG_MAP, "map-1", large(i), namespace="default")


def bytes_of_items() -> int:
    """What all items in memory hold, in the caches and with watchers."""
    gc.collect()
    return sum(each.stored_bytes for each in gc.get_objects() if isinstance(each, Item))


async def test_a_quiet_watcher_is_not_gone_however_busy_the_others_are(registry, client):
    events = registry.watch(CONFIG_MAP, "kube-system", resource_version=await now(registry))
    waiting = asyncio.create_task(take(events, 1))
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    for i in range(CHANGES_MAX + 1):
        await client.patch(CONFIG_MAP, "map-1", {"data": {"a": str(i)}}, namespace="default")
    await client.create(CONFIG_MAP, config_map("mine"), namespace="kube-system")
    assert await waiting == [("ADDED", "mine")]


async def test_a_version_of_before_this_servers_start_is_gone():
    store = MemoryStore()
    async with new_registry(store) as first:
        version = await now(first)
        await first.create(CONFIG_MAP, "default", config_map(), WriteOptions())
    async with new_registry(store) as second:
        with pytest.raises(Gone):
            await anext(second.watch(CONFIG_MAP, "", resource_version=version))
    await store.close()


async def test_one_event_is_serialised_once_for_all_watchers(registry, client):
    version = await now(registry)
    watches = [registry.watch(CONFIG_MAP, "", resource_version=version) for _ in range(500)]
    waiting = [asyncio.create_task(anext(events)) for events in watches]
    await asyncio.sleep(1)
    await client.create(CONFIG_MAP, config_map(), namespace="default")
    sent = await asyncio.gather(*waiting)
    assert len({id(data) for _, data in sent}) == 1


async def test_a_version_that_is_no_number_or_a_field_that_is_unknown_is_a_bad_request(registry):
    with pytest.raises(BadRequest):
        registry.watch(CONFIG_MAP, "", resource_version="latest")
    with pytest.raises(BadRequest, match=r"field label not supported: spec.colour"):
        registry.watch(POD, "", resource_version="0", field_selector=FieldSelector.parse("spec.colour=blue"))


async def test_list_and_watch_miss_nothing_whatever_the_moment(registry, client):
    async def follow(seen):
        page = await registry.list(CONFIG_MAP, "", ListOptions())
        seen.update(obj["metadata"]["name"] for obj in page.items)
        async for event, _ in registry.watch(CONFIG_MAP, "", resource_version=page.resource_version):
            assert event.object["metadata"]["name"] not in seen
            seen.add(event.object["metadata"]["name"])
            if len(seen) == 40:
                return

    async with asyncio.TaskGroup() as tasks:
        for i in range(40):
            tasks.create_task(client.create(CONFIG_MAP, config_map(f"map-{i}"), namespace="default"))
            tasks.create_task(follow(set()))
            await asyncio.sleep(0)
