"""Both clients, the informer and the events against fabric's own API server: over HTTP, and in frames."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from support.api_server import TOKEN, api_server
from support.eventually import eventually
from support.owned_task import running
from support.registry import config_map

from fabric.api.kinds import CONFIG_MAP, EVENT, NAMESPACE, NODE, POD
from fabric.api.objects import Key
from fabric.control.client import STRATEGIC, WatchEvent
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.framed import FramedClient
from fabric.control.http import HttpClient
from fabric.control.informers import Informers
from fabric.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Invalid,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)

MAP_1 = Key("default", "map-1")


@pytest.fixture(params=["http", "frames"])
def connected(request, tmp_path):
    """Gives the server, and a client of the transport."""

    @asynccontextmanager
    async def connect():
        async with api_server(tmp_path) as server:
            is_http = request.param == "http"
            client = HttpClient.unix(server.socket_path) if is_http else FramedClient(server.components_path)
            try:
                yield server, client
            finally:
                await client.close()

    return connect


async def test_an_object_is_made_read_changed_and_deleted(connected):
    async with connected() as (_, client):
        created = await client.create(CONFIG_MAP, config_map(colour="red"), namespace="default")
        patched = await client.patch(CONFIG_MAP, "map-1", {"data": {"colour": "blue"}}, namespace="default")
        assert await client.get(CONFIG_MAP, "map-1", "default") == patched
        with pytest.raises(Conflict):
            await client.update(CONFIG_MAP, created)
        with pytest.raises(AlreadyExists):
            await client.create(CONFIG_MAP, config_map(), namespace="default")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, "map-1", "default", uid="another")
        with pytest.raises(Invalid):
            await client.create(CONFIG_MAP, config_map("No Name"), namespace="default")
        await client.delete(CONFIG_MAP, "map-1", "default", uid=created["metadata"]["uid"])
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAP, "map-1", "default")


async def test_a_list_is_at_one_revision_and_obeys_its_selectors(connected):
    async with connected() as (_, client):
        for number in range(1, 4):
            labels = {"odd": str(number % 2)}
            item = config_map(f"map-{number}", big="x" * 700_000) | {
                "metadata": {"name": f"map-{number}", "labels": labels}
            }
            last = await client.create(CONFIG_MAP, item, namespace="default")
        listed = await client.list(CONFIG_MAP, "default", label_selector="odd=1")
        assert [item["metadata"]["name"] for item in listed.items] == ["map-1", "map-3"]
        assert listed.resource_version == last["metadata"]["resourceVersion"]
        assert (await client.list(CONFIG_MAP, "other")).items == ()
        with pytest.raises(BadRequest, match="a b c"):
            await client.list(CONFIG_MAP, label_selector="a b c")


async def test_a_watch_tells_what_comes_after_its_revision(connected):
    async with connected() as (_, client):
        made = await client.create(CONFIG_MAP, config_map(), namespace="default")
        changes = client.watch(CONFIG_MAP, resource_version=made["metadata"]["resourceVersion"])
        patched = await client.patch(CONFIG_MAP, "map-1", {"data": {"a": "b"}}, namespace="default")
        await client.delete(CONFIG_MAP, "map-1", "default")
        assert await anext(changes) == WatchEvent("MODIFIED", patched)
        assert (await anext(changes)).type == "DELETED"
        await changes.aclose()
        with pytest.raises(BadRequest, match="resourceVersion"):
            await anext(client.watch(CONFIG_MAP, resource_version="x"))


async def test_a_subresource_is_written_alone(connected):
    async with connected() as (_, client):
        await client.create(NODE, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
        ready = {"type": "Ready", "status": "True"}
        body = {"spec": {"podCIDR": "10.244.0.0/24"}, "status": {"conditions": [ready]}}
        patched = await client.patch(NODE, "node-1", body, subresource="status", patch_type=STRATEGIC)
        assert patched["status"]["conditions"] == [ready]
        assert "podCIDR" not in patched.get("spec", {})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-1"}}
        pod["spec"] = {"containers": [{"name": "a", "image": "pause"}]}
        await client.create(POD, pod, namespace="default")
        target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "pod-1"}, "target": target}
        await client.create(POD, binding, namespace="default", subresource="binding")
        assert (await client.get(POD, "pod-1", "default"))["spec"]["nodeName"] == "node-1"


async def test_what_cannot_be_is_refused_and_the_server_lives_on(connected):
    async with connected() as (_, client):
        with pytest.raises(NotFound, match="requested resource"):
            await client.get(replace(CONFIG_MAP, plural="maps"), "map-1", "default")
        with pytest.raises(MethodNotAllowed):
            await client.create(CONFIG_MAP, config_map())
        with pytest.raises(NotFound):
            await client.patch(NAMESPACE, "default", {}, subresource="scale")
        with pytest.raises(TooLarge, match="3145728"):
            await client.create(CONFIG_MAP, config_map(big="x" * 3_200_000), namespace="default")
        with pytest.raises(BadRequest, match="deep"):
            await client.patch(CONFIG_MAP, "map-1", deep(150), namespace="default")
        with pytest.raises(UnsupportedMediaType):
            await client.patch(CONFIG_MAP, "map-1", {}, namespace="default", patch_type="text/plain")
        assert (await client.get(NAMESPACE, "default"))["kind"] == "Namespace"


def deep(levels):
    value = {}
    for _ in range(levels):
        value = {"data": value}
    return value


async def test_an_informer_follows_the_server(connected):
    async with connected() as (_, client):
        informers = Informers(client)
        maps = informers.of(CONFIG_MAP, namespace="default")
        async with running(informers.run()):
            async with asyncio.timeout(60):
                await informers.synced()
            await client.create(CONFIG_MAP, config_map(big="x" * 900_000), namespace="default")
            await eventually(lambda: maps.get(MAP_1))
            await client.delete(CONFIG_MAP, "map-1", "default")
            await eventually(lambda: maps.get(MAP_1) is None)


async def test_an_event_is_written_and_counted(connected):
    async with connected() as (_, client):
        recorder = EventRecorder(client, LoopClock(), "kubelet", "node-1")
        namespace = await client.get(NAMESPACE, "default")
        async with running(recorder.run()):
            for count in (1, 2):
                recorder.event(namespace, "Normal", "Tested", "it was tested")

                async def counted(count=count):
                    events = (await client.list(EVENT, field_selector="reason=Tested")).items
                    return [event["count"] for event in events] == [count]

                await eventually(counted)


async def test_over_tls_the_token_is_known(tmp_path):
    async with api_server(tmp_path) as server:
        client = HttpClient.tls(server.url, ca=tmp_path / "pki" / "ca.crt", token=TOKEN)
        try:
            assert (await client.get(NAMESPACE, "default"))["kind"] == "Namespace"
        finally:
            await client.close()
