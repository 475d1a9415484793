"""Whatever requests come in whatever order, each is answered with an object or a Status."""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_network

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.any_request import any_requests, create, create_of
from support.strange_http import requests
from support.strictness import logged_bugs, told
from support.virtual_time import VirtualTimeLoop
from support.wire_client import WireClient, wire_client

from calico import served
from calico.resources.tiers import own_tiers
from fabric.api.kinds import BUILT_IN
from fabric.plugin.contract import NetworkConfig

KINDS = (*BUILT_IN, *served.kinds(NetworkConfig((ip_network("10.244.0.0/16"),), ())))
TIERS = next(kind for kind in KINDS if kind.plural == "tiers")
DEFAULT_TIER = next(it for it in own_tiers() if it.name == "default").to_object()
"""A policy that names none needs it."""
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answers(requests: list[bytes]) -> list[bytes]:
    """The answers of a server that has one good object of each kind."""

    async def ask() -> list[bytes]:
        async with wire_client(KINDS) as client:
            await client.exchange(create_of(TIERS, DEFAULT_TIER))
            for kind in KINDS:
                if "create" in kind.verbs:
                    made = await client.exchange(create(kind))
                    assert made.startswith(b"HTTP/1.1 201"), made
            return [await checked(client, request) for request in requests]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(ask())


async def checked(client: WireClient, request: bytes) -> bytes:
    with logged_bugs() as bugs:
        answer = await client.exchange(request)
    assert not bugs, f"{request[:2000]!r}\n{told(bugs)}"
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] ([1-4]\d\d|504) ", head), f"{request[:2000]!r}\n{answer[:2000]!r}"
    has_status = re.match(rb"HTTP/1\.1 [45]", head) and b"application/json" in head
    if has_status and not request.startswith(b"HEAD "):
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length, answer
        status = orjson.loads(body[: int(length[1])])
        assert status["kind"] == "Status" and status["status"] == "Failure", answer
        assert status["message"] and status["reason"] and isinstance(status["details"], dict), answer
    return answer


@FEW
@given(requests=st.lists(any_requests(KINDS), min_size=1, max_size=6))
def test_any_request_for_any_kind_is_answered_or_refused(requests):
    assert len(answers(requests)) == len(requests)


@FEW
@given(requests=st.lists(requests(), min_size=1, max_size=4))
def test_any_http_is_answered_or_refused(requests):
    assert len(answers(requests)) == len(requests)
