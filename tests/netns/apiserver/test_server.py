"""The server's own life: bugs do not end it, restarts take over its socket, writes survive their client."""

from __future__ import annotations

import asyncio
import logging
import socket

import orjson
import pytest
from support.api_server import api_server
from support.eventually import eventually
from support.raw_http import raw_http

from fabric.apiserver.listeners import tls_socket
from fabric.control.client import WatchEvent
from fabric.errors import ServerUnavailable

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


class Bug(Exception):
    """Something that is not the world saying no."""


@pytest.mark.with_bug
@pytest.mark.parametrize("verb", ["get", "list", "create", "delete", "watch"])
async def test_a_bug_is_answered_with_500_and_logged_and_the_server_lives_on(running, http, caplog, verb):
    def broken(*args, **kwargs):
        raise Bug("of the test")

    async def broken_later(*args, **kwargs):
        raise Bug("of the test")

    whole = getattr(running.registry, verb)
    setattr(running.registry, verb, broken if verb == "watch" else broken_later)
    method, path = {
        "get": ("GET", f"{CONFIG_MAPS}/settings"),
        "list": ("GET", CONFIG_MAPS),
        "create": ("POST", CONFIG_MAPS),
        "delete": ("DELETE", f"{CONFIG_MAPS}/settings"),
        "watch": ("GET", f"{CONFIG_MAPS}?watch=true"),
    }[verb]
    refused = await http.json(method, path, SETTINGS if method == "POST" else None)
    where = f"{method} {path.partition('?')[0]}"
    assert refused == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {where}: Bug: of the test",
        "reason": "InternalError",
        "details": {},
        "code": 500,
    }
    assert "Traceback" in caplog.text and "broken" in caplog.text
    setattr(running.registry, verb, whole)
    assert (await http("POST", CONFIG_MAPS, SETTINGS))[0] == 201


@pytest.mark.with_bug
async def test_a_bug_in_a_write_whose_client_is_gone_is_logged_and_no_more(running, http, caplog):
    reached, goes_on = asyncio.Event(), asyncio.Event()

    async def broken(*args, **kwargs):
        reached.set()
        await goes_on.wait()
        raise Bug("of the test")

    whole, running.registry.create = running.registry.create, broken
    request = asyncio.create_task(http("POST", CONFIG_MAPS, SETTINGS))
    await reached.wait()
    request.cancel()
    goes_on.set()
    await eventually(lambda: "Bug: of the test" in caplog.text)
    running.registry.create = whole
    assert (await http("POST", CONFIG_MAPS, SETTINGS))[0] == 201


@pytest.mark.with_bug
async def test_a_bug_in_a_watch_is_its_last_event(running, http):
    async def broken(*args, **kwargs):
        yield WatchEvent("ADDED", SETTINGS), orjson.dumps(SETTINGS)
        raise Bug("of the test")

    running.registry.watch = broken
    lines = (await http("GET", f"{CONFIG_MAPS}?watch=true"))[2].splitlines()
    assert [orjson.loads(line)["type"] for line in lines] == ["ADDED", "ERROR"]
    assert orjson.loads(lines[1])["object"]["code"] == 500


async def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ServerUnavailable, match=f"cannot listen on 127.0.0.1 port {port}: Address already"
        ):
            tls_socket(("127.0.0.1", port))


async def test_a_new_server_takes_over_the_socket_of_a_dead_one(tmp_path):
    for _ in range(2):
        async with api_server(tmp_path) as running, raw_http(running.socket_path) as http:
            assert (await http("GET", "/healthz"))[2] == b"ok"
        assert running.socket_path.exists()


async def test_a_write_runs_to_its_end_when_the_client_hangs_up(running, http):
    create, reached, goes_on = running.registry.create, asyncio.Event(), asyncio.Event()

    async def slow(*args, **kwargs):
        reached.set()
        await goes_on.wait()
        return await create(*args, **kwargs)

    running.registry.create = slow
    request = asyncio.create_task(http("POST", CONFIG_MAPS, SETTINGS))
    await reached.wait()
    request.cancel()
    goes_on.set()

    async def is_there():
        return (await http("GET", f"{CONFIG_MAPS}/settings"))[0] == 200

    await eventually(is_there)


async def test_a_client_that_leaves_in_the_middle_is_no_error(running, http, caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(20):
        _, writer = await asyncio.open_unix_connection(str(running.socket_path))
        writer.write(f"GET {CONFIG_MAPS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        writer.transport.abort()
    await http("POST", CONFIG_MAPS, SETTINGS)
    assert caplog.records == []


async def test_http_1_0_gets_its_watch_until_the_connection_closes(running):
    reader, writer = await asyncio.open_unix_connection(str(running.socket_path))
    writer.write(f"GET {CONFIG_MAPS}?watch=true&timeoutSeconds=1 HTTP/1.0\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.0 200 OK")
    writer.close()
