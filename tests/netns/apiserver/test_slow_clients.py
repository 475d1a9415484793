"""A client that is slow, silent or deaf is hung up in time, and takes nothing from the others."""

from __future__ import annotations

import asyncio
import resource
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest
from support.api_server import TOKEN, api_server
from support.raw_http import raw_http

from fabric.apiserver import bodies
from fabric.apiserver.connections import Limits

LIMITS = Limits(header_seconds=0.6, idle_seconds=1.5, stalled_seconds=0.5, connections_max=8)
HEAD = b"GET /healthz HTTP/1.1\r\nHost: api\r\nX-Long: "
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PATIENCE_SECONDS = 60.0


@pytest.fixture
async def running(tmp_path):
    async with api_server(tmp_path, limits=LIMITS) as served:
        yield served


@pytest.fixture
async def http(running):
    async with raw_http(running.socket_path) as http:
        yield http


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def connection(running, over="unix", **options):
    if over == "unix":
        reader, writer = await asyncio.open_unix_connection(str(running.socket_path), **options)
    else:
        context = client_context() if over == "tls" else None
        reader, writer = await asyncio.open_connection(*running.server.addresses[0], ssl=context, **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def seconds_to_the_end(reader) -> float:
    """How long until the server hangs up; whatever it sends before is dropped."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
    return time.monotonic() - began


async def trickle(writer, byte=b"x"):
    while not writer.is_closing():
        writer.write(byte)
        await asyncio.sleep(0.05)


@asynccontextmanager
async def trickling(writer):
    task = asyncio.create_task(trickle(writer))
    yield
    task.cancel()


@pytest.mark.parametrize("over", ["unix", "tls"])
async def test_a_header_that_comes_a_byte_at_a_time_ends_its_connection(running, over):
    async with connection(running, over) as (reader, writer):
        writer.write(HEAD)
        async with trickling(writer):
            assert await seconds_to_the_end(reader) > 0.4


@pytest.mark.parametrize("over", ["unix", "tls", "tcp"])
async def test_a_connection_that_says_nothing_ends(running, over):
    async with connection(running, over) as (reader, _):
        assert await seconds_to_the_end(reader) > 0.4


async def test_a_slow_header_within_the_time_is_answered(running):
    async with connection(running) as (reader, writer):
        for part in (REQUEST[:10], REQUEST[10:30], REQUEST[30:]):
            writer.write(part)
            await asyncio.sleep(0.1)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_a_kept_connection_ends_when_it_has_been_idle(running):
    async with connection(running) as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"ok")
        assert await seconds_to_the_end(reader) > 1.2


async def test_a_later_header_has_no_more_time_than_the_first(running):
    async with connection(running) as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"ok")
        writer.write(HEAD)
        async with trickling(writer):
            assert await seconds_to_the_end(reader) > 0.4


async def test_a_request_that_takes_long_is_no_idle_connection(running, http):
    async with connection(running) as (reader, writer):
        writer.write(b"GET /api/v1/namespaces?watch=1&timeoutSeconds=60 HTTP/1.1\r\nHost: api\r\n\r\n")
        await reader.readuntil(b"kube-system")
        await asyncio.sleep(2.0)
        await http("POST", "/api/v1/namespaces", {"metadata": {"name": "late"}})
        async with asyncio.timeout(PATIENCE_SECONDS):
            await reader.readuntil(b'"late"')


async def test_a_header_that_grows_beyond_a_mebibyte_is_refused(running):
    async with connection(running) as (reader, writer):
        writer.write(REQUEST[:-2])
        for n in range(18):
            writer.write(f"X-{n}: {'x' * 60_000}\r\n".encode())
            await asyncio.sleep(0.005)
        assert (await reader.readline()).startswith(b"HTTP/1.1 431")
        await seconds_to_the_end(reader)


async def test_a_selector_of_many_names_is_no_header_too_long(http):
    names = ",".join(f"name-{n}" for n in range(5000))
    assert (await http("GET", f"{CONFIG_MAPS}?labelSelector=app+in+({names})"))[0] == 200


@pytest.mark.parametrize("over", ["unix", "tls"])
async def test_a_body_above_three_mebibytes_is_told_to_be_too_large(running, over):
    async with connection(running, over) as (reader, writer):
        writer.write(
            f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {3 * 2**20 + 1}\r\n\r\n".encode()
        )
        writer.write(b" " * (3 * 2**20 + 1))
        head = await reader.readuntil(b"\r\n\r\n")
        status = orjson.loads(await reader.readuntil(b"}") + b"".join([await reader.read(4096)]))
    assert head.startswith(b"HTTP/1.1 413")
    assert status["reason"] == "RequestEntityTooLarge"


async def test_a_body_that_does_not_come_is_a_timeout(running, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.4)
    async with connection(running) as (reader, writer):
        writer.write(f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: api\r\nContent-Length: 999\r\n\r\n".encode())
        async with trickling(writer), asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 504")


async def fill(http, count=40):
    for n in range(count):
        await http("POST", CONFIG_MAPS, {"metadata": {"name": f"big-{n}"}, "data": {"x": "x" * 500_000}})


@pytest.mark.parametrize("over", ["unix", "tls"])
@pytest.mark.parametrize("query", ["", "?watch=1&timeoutSeconds=60"])
async def test_an_answer_that_nobody_reads_is_ended(running, http, over, query):
    await fill(http)
    async with connection(running, over, limit=1) as (reader, writer):
        head = f"GET {CONFIG_MAPS}{query} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        writer.write(head.encode())
        writer.transport.pause_reading()
        # A busy machine takes its time to encrypt twenty megabytes, and the connection is idle only then.
        await asyncio.sleep(LIMITS.idle_seconds + LIMITS.stalled_seconds + (6.0 if over == "tls" else 2.0))
        writer.transport.resume_reading()
        assert await bytes_to_the_end(reader) < 15_000_000


async def bytes_to_the_end(reader) -> int:
    total = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            while part := await reader.read(65536):
                total += len(part)
        except (ConnectionError, ssl.SSLError):
            pass
    return total


async def test_an_answer_that_is_read_slowly_comes_whole(running, http):
    await fill(http, 8)
    async with connection(running, limit=1) as (reader, writer):
        writer.write(f"GET {CONFIG_MAPS} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n".encode())
        total = 0
        while part := await reader.read(200_000):
            total += len(part)
            await asyncio.sleep(0.05)
    assert total > 4_000_000


@pytest.mark.parametrize("over", ["tcp", "tls"])
async def test_idle_connections_make_room_for_the_next(tmp_path, over):
    patient = replace(LIMITS, header_seconds=600.0, idle_seconds=600.0)  # no connection ends but for room
    async with api_server(tmp_path, limits=patient) as running:
        await idle_connections_make_room(running, over)


async def idle_connections_make_room(running, over):
    opened = []
    async with asyncio.timeout(2 * PATIENCE_SECONDS):  # handshakes take their time on a busy machine
        for _ in range(LIMITS.connections_max * 3):
            context = client_context() if over == "tls" else None
            opened.append(await asyncio.open_connection(*running.server.addresses[0], ssl=context))
            await asyncio.sleep(0.005)
        async with connection(running, "tls") as (reader, writer):
            writer.write(REQUEST)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await seconds_to_the_end(opened[0][0])
    assert not opened[-1][0].at_eof()
    for _, writer in opened:
        writer.transport.abort()


async def test_a_watch_is_not_ended_to_make_room(running, http):
    async with connection(running, "tls") as (reader, writer):
        writer.write(
            b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: api\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
        )
        await reader.readuntil(b"kube-system")
        idle = [await asyncio.open_connection(*running.server.addresses[0]) for _ in range(30)]
        await http("POST", "/api/v1/namespaces", {"metadata": {"name": "late"}})
        async with asyncio.timeout(PATIENCE_SECONDS):
            await reader.readuntil(b'"late"')
        for _, other in idle:
            other.transport.abort()


async def test_idle_connections_leave_descriptors_for_the_others(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        async with api_server(tmp_path) as running, raw_http(running.socket_path) as http:
            idle = [await asyncio.open_connection(*running.server.addresses[0]) for _ in range(150)]
            assert (await http("GET", "/readyz"))[0] == 200
            await asyncio.sleep(0.2)
            assert sum(not reader.at_eof() for reader, _ in idle) <= 100
            for _, writer in idle:
                writer.transport.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
