"""Watches over HTTP: lines as they happen, in each representation, until somebody leaves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import orjson
from support.eventually import eventually

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SECONDS_MAX = 10.0


@asynccontextmanager
async def watch(http, query="", path=CONFIG_MAPS, **headers):
    """The events of one watch, read on demand."""
    url = f"http://api{path}?watch=true&{query}"
    async with http.session.get(url, headers=headers) as answer:
        assert answer.status == 200

        async def following():
            line = await asyncio.wait_for(answer.content.readline(), SECONDS_MAX)
            return orjson.loads(line) if line else None

        yield following


async def version_now(http):
    return (await http.json("GET", CONFIG_MAPS))["metadata"]["resourceVersion"]


async def test_a_watch_tells_of_every_change_in_order(http):
    async with watch(http, f"resourceVersion={await version_now(http)}") as following:
        await http("POST", CONFIG_MAPS, SETTINGS)
        await http("PUT", f"{CONFIG_MAPS}/settings", SETTINGS | {"data": {"a": "c"}})
        await http("DELETE", f"{CONFIG_MAPS}/settings")
        events = [await following() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_a_watch_as_table_names_its_columns_once(http):
    now = await version_now(http)
    async with watch(http, f"resourceVersion={now}", Accept=TABLE) as following:
        await http("POST", CONFIG_MAPS, SETTINGS)
        await http("PUT", f"{CONFIG_MAPS}/settings", SETTINGS | {"data": {}})
        first, second = await following(), await following()
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert first["object"]["rows"][0]["cells"][:2] == ["settings", 1]
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][:2] == ["settings", 0]


async def test_a_watch_ends_when_its_time_is_up(http):
    now = await version_now(http)
    async with watch(http, f"resourceVersion={now}&timeoutSeconds=1") as following:
        assert await following() is None


async def test_initial_events_end_with_a_bookmark(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    async with watch(http, query) as following:
        events = [await following()]
        while events[-1]["type"] != "BOOKMARK":
            events.append(await following())
    assert "settings" in [event["object"]["metadata"].get("name") for event in events]
    annotations = events[-1]["object"]["metadata"]["annotations"]
    assert annotations == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_of_one_object_sees_only_that(http):
    query = f"resourceVersion={await version_now(http)}&fieldSelector=metadata.name%3Dsettings"
    async with watch(http, query) as following:
        await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": "other"}})
        await http("POST", CONFIG_MAPS, SETTINGS)
        assert (await following())["object"]["metadata"]["name"] == "settings"


async def test_a_watcher_that_leaves_takes_its_handler_along(http, running):
    before = len(asyncio.all_tasks())
    async with watch(http, f"resourceVersion={await version_now(http)}"):
        await eventually(lambda: len(asyncio.all_tasks()) > before)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
