"""No request ends the API server, on any of its sockets, nor is answered as a fault of the server's."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api_server import api_server
from support.strange_http import requests
from support.strictness import logged_bugs, told

from fabric.apiserver import patches
from fabric.control import wire
from fabric.frames import frame
from fabric.store.server import StoreServer

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with its store's socket, in a thread with a loop of its own."""
    directory = tmp_path_factory.mktemp("api")
    loop = asyncio.new_event_loop()
    ready: asyncio.Future = loop.create_future()
    over = asyncio.Event()

    async def serve():
        async with api_server(directory) as running, asyncio.TaskGroup() as group:
            store = StoreServer(running.store, directory / "store.sock")
            task = group.create_task(store.run())
            await store.listening.wait()
            ready.set_result(running)
            await over.wait()
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.wait_for(asyncio.shield(ready), 60), loop).result(60)
    yield ready.result()
    loop.call_soon_threadsafe(over.set)
    thread.join(60)
    loop.close()


def exchanged(address, data: bytes, *, is_all: bool = False, patience_seconds: float = 5.0) -> bytes:
    """What comes back until the peer closes; `is_all` tells it that nothing more is sent."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    answer = b""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience_seconds)
        sock.connect(address)
        try:
            sock.sendall(data)
            if is_all:
                sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65536):
                answer += part
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            pass
    return answer


def packed(*words) -> bytes:
    return msgspec.msgpack.encode(words)


def is_alive(server) -> bool:
    answer = exchanged(
        str(server.socket_path), b"GET /healthz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"
    )
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nok")


@FUZZ
@given(request=requests())
def test_whatever_is_asked_is_answered_or_refused(server, request):
    with logged_bugs() as bugs:
        answer = exchanged(str(server.socket_path), request, patience_seconds=0.5)
    assert not bugs, told(bugs)
    assert not answer or re.match(rb"HTTP/1\.[01] [1-4]", answer), answer[:500]
    assert is_alive(server)


@FUZZ
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_http_and_no_tls_are_nobodys_end(server, data):
    exchanged(str(server.socket_path), data, is_all=True)
    exchanged(server.server.addresses[0], data, is_all=True)
    assert is_alive(server)


@FUZZ
@given(
    frames=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.just(b"\x91" * 5000),
            st.builds(
                _packed := (lambda *words: __import__("msgspec").msgpack.encode(words)),
                st.sampled_from(
                    ["Get", "Range", "Txn", "Watch", "Cancel", "Grant", "KeepAlive", "Compact", "X"]
                ),
                st.integers(-2, 3),
                st.one_of(st.text(max_size=5), st.integers(-(2**63), 2**64 - 1)),
                st.one_of(st.text(max_size=5), st.integers(-(2**63), 2**64 - 1), st.lists(st.integers(0, 9))),
            ),
        ),
        max_size=4,
    )
)
def test_no_frame_ends_the_store(server, frames):
    path = str(server.socket_path.with_name("store.sock"))
    with logged_bugs() as bugs:
        exchanged(path, b"".join(struct.pack(">I", len(frame)) + frame for frame in frames), is_all=True)
    assert not bugs, told(bugs)
    revision = packed("Revision", 7)
    assert exchanged(path, struct.pack(">I", len(revision)) + revision, is_all=True)


WORDS = st.one_of(
    st.sampled_from(
        ["", "v1", "pods", "nodes", "configmaps", "default", "thing", "status", "binding", "..", "\0"]
    ),
    st.sampled_from(
        ["a in (", "metadata.name=x", "9" * 25, "-1", patches.MERGE, patches.JSON_PATCH, patches.STRATEGIC]
    ),
    st.text(max_size=6),
)
RESOURCES = st.one_of(
    st.sampled_from([("", "v1", "pods"), ("", "v1", "configmaps"), ("", "v1", "namespaces")]),
    st.tuples(WORDS, WORDS, WORDS),
)
BODIES = st.one_of(
    st.sampled_from([b"", b"{}", b"[]", b"null", b"[" * 2000, b'{"metadata":{"name":"thing"},"spec":null}']),
    st.binary(max_size=30),
)


def component_requests() -> st.SearchStrategy[wire.AnyRequest]:
    """Every request of the protocol, with fields of the right types and of any content."""
    fields = {"id": st.integers(-3, 3), "resource": RESOURCES, "body": BODIES}
    kinds = (wire.Get, wire.List, wire.Create, wire.Update, wire.Patch, wire.Delete, wire.Watch, wire.Cancel)
    return st.one_of(
        *(
            st.builds(kind, **{name: fields.get(name, WORDS) for name in kind.__struct_fields__})
            for kind in kinds
        )
    )


@settings(FUZZ, max_examples=100)
@given(
    sent=st.lists(
        st.one_of(
            component_requests().map(wire.frame),
            st.binary(max_size=60).map(frame),
            st.binary(max_size=60),
        ),
        max_size=6,
    )
)
def test_no_frame_of_a_component_ends_the_server(server, sent):
    with logged_bugs() as bugs:
        exchanged(str(server.components_path), b"".join(sent), is_all=True)
    assert not bugs, told(bugs)
    assert is_alive(server)
