import asyncio
import base64
import json

import pytest
from support.registry import config_map, new_registry, pod

from fabric.api.kinds import CONFIG_MAP, EVENT, POD
from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver import listing
from fabric.apiserver.options import DeleteOptions, ListOptions, WriteOptions
from fabric.errors import BadRequest, Gone
from fabric.store.memory import MemoryStore


def names(page):
    return [obj["metadata"]["name"] for obj in page.items]


async def fill(registry, count=7):
    for i in range(count):
        labelled = config_map(f"map-{i}")
        labelled["metadata"]["labels"] = {"odd": str(i % 2)}
        await registry.create(CONFIG_MAP, "default" if i < 5 else "kube-system", labelled, WriteOptions())


async def test_a_list_is_in_key_order_and_of_one_namespace_or_of_all(registry):
    await fill(registry)
    everything = await registry.list(CONFIG_MAP, "", ListOptions())
    assert names(everything) == [f"map-{i}" for i in range(7)]
    assert names(await registry.list(CONFIG_MAP, "kube-system", ListOptions())) == ["map-5", "map-6"]


async def test_pages_follow_each_other_and_count_what_remains(registry):
    await fill(registry)
    seen, token, remaining = [], "", []
    while True:
        page = await registry.list(CONFIG_MAP, "", ListOptions(limit=3, continue_=token))
        seen += names(page)
        remaining.append(page.remaining)
        token = page.continue_
        if not token:
            break
    assert seen == [f"map-{i}" for i in range(7)]
    assert remaining == [4, 1, None]


async def test_all_pages_show_the_revision_of_the_first(registry):
    await fill(registry)
    first = await registry.list(CONFIG_MAP, "", ListOptions(limit=3))
    await registry.create(CONFIG_MAP, "default", config_map("map-4-new"), WriteOptions())
    merge = "application/merge-patch+json"
    await registry.patch(CONFIG_MAP, "kube-system", "map-6", {"data": {"a": "1"}}, merge, WriteOptions())
    rest = await registry.list(CONFIG_MAP, "", ListOptions(continue_=first.continue_))
    assert names(first) + names(rest) == [f"map-{i}" for i in range(7)]
    assert rest.resource_version == first.resource_version
    assert "data" not in rest.items[-1]


@pytest.mark.parametrize("past", [False, True])
async def test_a_page_looks_at_no_more_objects_than_it_shows_and_the_next(registry, monkeypatch, past):
    await fill(registry, 40)
    looked_at = []
    selects = listing.selects
    monkeypatch.setattr(listing, "selects", lambda *args: looked_at.append(args[-1]) or selects(*args))
    first = await registry.list(CONFIG_MAP, "", ListOptions(limit=3))
    if past:
        await registry.delete(CONFIG_MAP, "kube-system", "map-39", DeleteOptions())
    second = await registry.list(CONFIG_MAP, "", ListOptions(limit=3, continue_=first.continue_))
    assert (len(second.items), second.remaining, len(looked_at)) == (3, 34, 8)


async def test_a_continue_token_of_a_forgotten_revision_is_gone():
    store = MemoryStore()
    async with new_registry(store) as registry:
        await fill(registry)
        first = await registry.list(CONFIG_MAP, "", ListOptions(limit=3))
        await registry.create(CONFIG_MAP, "default", config_map("new"), WriteOptions())
        await store.compact(await store.revision())
        with pytest.raises(Gone, match="The provided continue parameter is too old"):
            await registry.list(CONFIG_MAP, "", ListOptions(limit=3, continue_=first.continue_))
    await store.close()


def token_of(**fields):
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        *("x", "e30=", "////", "bm9uc2Vuc2U=", "é", "\x00"),
        token_of(rv=10**30, k="a"),
        token_of(rv=2**63, k="a"),
        token_of(rv=-1, k="a"),
        token_of(rv=1.5, k="a"),
        token_of(rv=True, k="a"),
        token_of(rv=1, k=["a"]),
    ],
)
async def test_a_continue_token_that_is_none_is_a_bad_request(registry, token):
    with pytest.raises(BadRequest, match="continue key is not valid"):
        await registry.list(CONFIG_MAP, "", ListOptions(continue_=token))


async def test_selectors_choose_and_pages_of_selected_objects_are_full(registry):
    await fill(registry)
    odd = LabelSelector.parse("odd=1")
    page = await registry.list(CONFIG_MAP, "", ListOptions(label_selector=odd, limit=2))
    assert (names(page), page.remaining) == (["map-1", "map-3"], None)
    page = await registry.list(
        CONFIG_MAP, "", ListOptions(label_selector=odd, limit=2, continue_=page.continue_)
    )
    assert (names(page), page.continue_) == (["map-5"], "")


async def test_pods_are_found_by_node(registry, client):
    for name in ("pod-1", "pod-2"):
        await client.create(POD, pod(name), namespace="default")
    binding = {"metadata": {"name": "pod-2"}, "target": {"name": "node-1"}}
    await client.create(POD, binding, namespace="default", subresource="binding")
    found = await client.list(POD, field_selector="spec.nodeName=node-1,status.phase!=Failed")
    assert [obj["metadata"]["name"] for obj in found.items] == ["pod-2"]


async def test_events_are_found_by_what_they_are_about(client):
    for name in ("pod-1", "pod-2"):
        event = {
            "metadata": {"generateName": f"{name}."},
            "involvedObject": {"kind": "Pod", "name": name, "namespace": "default"},
            "reason": "Scheduled",
        }
        await client.create(EVENT, event, namespace="default")
    found = await client.list(EVENT, field_selector="involvedObject.name=pod-2,involvedObject.kind=Pod")
    assert [obj["involvedObject"]["name"] for obj in found.items] == ["pod-2"]


async def test_a_field_that_cannot_be_selected_is_a_bad_request_in_kubernetes_words(registry):
    selector = FieldSelector.parse("spec.colour=blue")
    with pytest.raises(BadRequest) as caught:
        await registry.list(POD, "", ListOptions(field_selector=selector))
    assert caught.value.message == (
        'Unable to find "/v1, Resource=pods" that match label selector "", '
        'field selector "spec.colour=blue": field label not supported: spec.colour'
    )


@pytest.mark.parametrize(
    "options",
    [
        ListOptions(resource_version="x"),
        ListOptions(resource_version="-1"),
        ListOptions(resource_version="٣"),
        ListOptions(resource_version="9" * 4400),
        ListOptions(resource_version=str(2**63)),
    ],
)
async def test_versions_that_make_no_sense_are_bad_requests(registry, options):
    with pytest.raises(BadRequest):
        await registry.list(POD, "", options)


async def test_a_list_at_an_exact_version_shows_the_past(registry):
    await fill(registry, 2)
    past = (await registry.list(CONFIG_MAP, "", ListOptions())).resource_version
    await registry.create(CONFIG_MAP, "default", config_map("new"), WriteOptions())
    page = await registry.list(
        CONFIG_MAP, "", ListOptions(resource_version=past, resource_version_match="Exact")
    )
    assert (names(page), page.resource_version) == (["map-0", "map-1"], past)


async def test_events_live_for_an_hour_and_are_seen_to_go(registry, client):
    event = {"metadata": {"name": "event-1"}, "involvedObject": {"namespace": "default"}}
    await client.create(EVENT, event, namespace="default")
    await asyncio.sleep(3600)
    assert len((await client.list(EVENT)).items) == 1
    watch = registry.watch(EVENT, "", resource_version=(await client.list(EVENT)).resource_version)
    change, _ = await anext(watch)
    assert (change.type, change.object["metadata"]["name"]) == ("DELETED", "event-1")
    assert asyncio.get_running_loop().time() <= 3900 + 1
    assert (await client.list(EVENT)).items == ()


async def test_the_stores_history_is_forgotten_after_some_minutes():
    store = MemoryStore()
    async with new_registry(store) as registry:
        await fill(registry, 2)
        first = await registry.list(CONFIG_MAP, "", ListOptions(limit=1))
        for i in range(3):
            await asyncio.sleep(300)
            await registry.create(CONFIG_MAP, "default", config_map(f"later-{i}"), WriteOptions())
        with pytest.raises(Gone):
            await registry.list(CONFIG_MAP, "", ListOptions(continue_=first.continue_))
    await store.close()
