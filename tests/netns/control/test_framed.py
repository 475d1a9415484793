"""The connection between components and the API server: what is lost, refused, cancelled and cut off."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.api_server import api_server
from support.eventually import eventually
from support.registry import config_map

from fabric.api.kinds import CONFIG_MAP, NAMESPACE
from fabric.control import wire
from fabric.control.connection import EVENTS_MAX, Connection
from fabric.control.framed import FramedClient
from fabric.errors import Gone, NotFound, ServerUnavailable
from fabric.frames import FRAME_BYTES_MAX, Frames, Replies

GET = wire.Get(1, wire.resource_of(NAMESPACE), "", "default")


@asynccontextmanager
async def client_of(path, **options):
    client = FramedClient(path, **options)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def answering(path, *replies):
    """A server that sends these bytes for each request, and then hangs up if the last of them is None."""

    async def serve(reader, writer):
        while await reader.read(1 << 16):
            for reply in replies:
                if reply is None:
                    writer.close()
                    return
                writer.write(reply)

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    async with client_of(tmp_path / "components.sock") as client:
        with pytest.raises(ServerUnavailable, match=r"components\.sock"):
            await client.get(NAMESPACE, "default")
        with pytest.raises(ServerUnavailable, match=r"components\.sock"):
            await anext(client.watch(NAMESPACE, resource_version="1"))


async def test_a_client_survives_a_restart_of_the_server(tmp_path):
    async with client_of(tmp_path / "components.sock") as client:
        for _ in range(2):
            async with api_server(tmp_path):
                now = (await client.list(NAMESPACE)).resource_version
                watch = client.watch(NAMESPACE, resource_version=now)
                next_event = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(0.05)
            with pytest.raises(ServerUnavailable):
                await next_event
            with pytest.raises(ServerUnavailable):
                await client.get(NAMESPACE, "default")


@pytest.mark.parametrize("reply", [b"\0\0\0\3abc", b"\xff\xff\xff\xff", wire.frame(GET), None])
async def test_a_server_that_hangs_up_or_sends_what_is_no_answer_is_unavailable(tmp_path, reply):
    path = tmp_path / "components.sock"
    async with answering(path, reply), client_of(path) as client:
        with pytest.raises(ServerUnavailable, match=r"closed the connection|sent a frame of|sent no answer"):
            await client.get(NAMESPACE, "default")


async def test_a_server_that_says_nothing_is_not_waited_for_without_end(tmp_path):
    path = tmp_path / "components.sock"
    async with answering(path), client_of(path, seconds_max=0.05) as client:
        with pytest.raises(ServerUnavailable, match="did not answer"):
            await client.get(NAMESPACE, "default")


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\0\0\0\1\xc1",
        b"\0\0\1\0" + b"\x91" * 256,
        wire.frame(wire.Answer(1, b"{}")),
        wire.frame(wire.Watch(1, GET.resource, "", "", "", "")) * 2,
    ],
)
async def test_what_is_no_request_ends_its_connection_and_no_other(tmp_path, garbage):
    async with api_server(tmp_path) as server, client_of(server.components_path) as client:
        await client.get(NAMESPACE, "default")
        reader, writer = await asyncio.open_unix_connection(str(server.components_path))
        writer.write(garbage)
        async with asyncio.timeout(60):
            while await reader.read(1 << 16):
                pass
        writer.close()
        assert (await client.get(NAMESPACE, "default"))["kind"] == "Namespace"


@pytest.mark.with_bug
async def test_a_bug_in_a_request_is_its_answer(tmp_path, monkeypatch):
    async with api_server(tmp_path) as server, client_of(server.components_path) as client:

        async def broken(*arguments, **options):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(server.registry, "get", broken)
        with pytest.raises(Exception, match="Internal error occurred: Get: ZeroDivisionError"):
            await client.get(NAMESPACE, "default")
        assert (await client.list(NAMESPACE)).items


async def test_a_watch_that_is_left_ends_in_the_server(tmp_path, monkeypatch):
    async with api_server(tmp_path) as server, client_of(server.components_path) as client:
        watching = 0
        follow = server.registry.watch

        async def counted(*arguments, **options):
            nonlocal watching
            watching += 1
            try:
                async for event in follow(*arguments, **options):
                    yield event
            finally:
                watching -= 1

        monkeypatch.setattr(server.registry, "watch", counted)
        first, second = (client.watch(NAMESPACE, resource_version="0") for _ in range(2))
        await anext(first)
        await anext(second)
        assert watching == 2
        await first.aclose()
        await eventually(lambda: watching == 1)
        await client.close()
        await eventually(lambda: watching == 0)


async def test_a_write_outlives_its_client(tmp_path):
    async with api_server(tmp_path) as server, client_of(server.components_path) as client:
        request = wire.Create(
            1, wire.resource_of(CONFIG_MAP), "default", "", "", b'{"metadata":{"name":"map-1"}}'
        )
        _, writer = await asyncio.open_unix_connection(str(server.components_path))
        writer.write(wire.frame(request))
        writer.close()

        async def is_there():
            try:
                return await client.get(CONFIG_MAP, "map-1", "default")
            except NotFound:
                return None

        await eventually(is_there)


async def test_a_client_that_takes_no_answers_holds_up_itself_alone(tmp_path):
    async with api_server(tmp_path) as server, client_of(server.components_path) as client:
        await client.create(CONFIG_MAP, config_map(big="x" * 500_000), namespace="default")
        reader, writer = await asyncio.open_unix_connection(str(server.components_path), limit=1 << 16)
        resource = wire.resource_of(CONFIG_MAP)
        writer.writelines(wire.frame(wire.Get(id_, resource, "default", "map-1")) for id_ in range(40))
        await asyncio.sleep(0.1)
        assert (await client.get(NAMESPACE, "default"))["kind"] == "Namespace"
        frames, answered = Frames(), 0
        async with asyncio.timeout(60):
            while answered < 40:
                answered += len(list(frames.feed(await reader.read(1 << 20))))
        writer.close()


async def test_a_watch_whose_events_nobody_takes_is_told_to_list_again():
    replies = Replies(2, Connection("server").overrun)
    assert [replies.deliver(wire.Event(1, "ADDED", b"{}")) for _ in range(3)] == [True, True, False]
    with pytest.raises(Gone, match="list again"):
        await replies.next()
    assert EVENTS_MAX > 10_000
