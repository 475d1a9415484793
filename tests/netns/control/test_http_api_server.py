"""The HTTP client, the informer and the events against fabric's own API server."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.api_server import TOKEN, api_server
from support.eventually import eventually
from support.owned_task import running
from support.registry import config_map

from fabric.api.kinds import CONFIG_MAP, EVENT, NAMESPACE
from fabric.api.objects import Key
from fabric.control.clock import LoopClock
from fabric.control.events import EventRecorder
from fabric.control.http import HttpClient
from fabric.control.informers import Informers
from fabric.errors import AlreadyExists, Conflict, Invalid, NotFound

MAP_1 = Key("default", "map-1")


@asynccontextmanager
async def connected(tmp_path):
    async with api_server(tmp_path) as server:
        client = HttpClient.unix(server.socket_path)
        try:
            yield server, client
        finally:
            await client.close()


async def test_an_object_is_made_read_changed_and_deleted(tmp_path):
    async with connected(tmp_path) as (_, client):
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


async def test_an_informer_follows_the_server(tmp_path):
    async with connected(tmp_path) as (_, client):
        informers = Informers(client)
        maps = informers.of(CONFIG_MAP, namespace="default")
        async with running(informers.run()):
            async with asyncio.timeout(10):
                await informers.synced()
            await client.create(CONFIG_MAP, config_map(big="x" * 900_000), namespace="default")
            await eventually(lambda: maps.get(MAP_1))
            await client.delete(CONFIG_MAP, "map-1", "default")
            await eventually(lambda: maps.get(MAP_1) is None)


async def test_an_event_is_written_and_counted(tmp_path):
    async with connected(tmp_path) as (_, client):
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
