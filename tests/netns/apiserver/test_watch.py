"""Watches over HTTP: lines as they happen, in each representation, until somebody leaves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import WSMsgType
from support.eventually import eventually

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SECONDS_MAX = 60.0


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


@pytest.mark.parametrize("path", ["/api/v1/watch/configmaps", "/api/v1/watch/namespaces/default/configmaps"])
async def test_a_path_of_the_older_style_watches(http, path):
    now = await version_now(http)
    for named, seen in (("", ["other", "settings"]), ("/settings", ["settings"])):
        if named and "namespaces" not in path:
            continue
        async with watch(http, f"resourceVersion={now}", path=path + named) as following:
            if not named:
                await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": "other"}})
                await http("POST", CONFIG_MAPS, SETTINGS)
            assert [(await following())["object"]["metadata"]["name"] for _ in seen] == seen
    refused = await http.json("DELETE", path)
    assert (refused["code"], refused["reason"]) == (405, "MethodNotAllowed")


async def test_a_path_of_the_older_style_takes_no_selector_for_another_object(http):
    path = "/api/v1/watch/namespaces/default/configmaps/settings?fieldSelector=metadata.name%3Dother"
    refused = await http.json("GET", path)
    assert (refused["code"], refused["message"]) == (
        400,
        "fieldSelector metadata.name doesn't match requested name",
    )


@pytest.mark.parametrize("leaver", ["client", "server"])
async def test_a_watch_over_a_websocket_sends_a_message_for_each_event(http, leaver):
    query = f"watch=true&resourceVersion={await version_now(http)}" + "&timeoutSeconds=1" * (
        leaver == "server"
    )
    async with http.session.ws_connect(f"http://api{CONFIG_MAPS}?{query}") as socket:
        await http("POST", CONFIG_MAPS, SETTINGS)
        event = await socket.receive_json(timeout=SECONDS_MAX)
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "settings")
        if leaver == "server":
            assert (await socket.receive(timeout=SECONDS_MAX)).type == WSMsgType.CLOSE
    assert await http.json("GET", f"{CONFIG_MAPS}/settings")


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


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("resourceVersionMatch=Exact", "is forbidden unless resourceVersion is provided"),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersionMatch=Newer&resourceVersion=1",
            'Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", ""',
        ),
        ("sendInitialEvents=false", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=true&sendInitialEvents=true",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=1",
            "is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
            'Unsupported value: "Exact": supported values: "NotOlderThan"',
        ),
    ],
)
async def test_list_options_that_do_not_go_together_are_invalid(http, query, fault):
    refused = await http.json("GET", f"{CONFIG_MAPS}?{query}")
    assert (refused["code"], refused["reason"]) == (422, "Invalid")
    assert refused["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')
    assert fault in refused["message"]


async def test_the_end_of_initial_events_is_told_only_to_a_watch_that_takes_bookmarks(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    async with watch(http, query) as following:
        events = []
        while event := await following():
            events.append(event["type"])
    assert events == ["ADDED"]


async def test_a_watch_from_the_future_waits_for_what_is_after_it(http):
    """As upstream: the answer begins at once, and what happens up to that revision is passed over."""
    future = int(await version_now(http)) + 2
    async with watch(http, f"resourceVersion={future}") as following:
        for name in ("first", "second", "third"):
            await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": name}})
        assert (await following())["object"]["metadata"]["name"] == "third"


async def test_initial_events_of_the_future_are_a_timeout_event(http):
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    async with watch(http, f"{query}&resourceVersion=999999") as following:
        event = await following()
        assert await following() is None
    assert (event["type"], event["object"]["code"]) == ("ERROR", 504)
    assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
