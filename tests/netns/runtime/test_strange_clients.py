"""Whatever a client sends, the runtime lives on: it hangs up, or answers that it knows no such thing."""

from __future__ import annotations

import json
import socket

import pytest
from support.runtime_process import RuntimeProcess, running

SECONDS_MAX = 10.0
DEEP = b"[" * 100_000
TOO_LARGE = b"\xff\xff\xff\xff"


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def request(**fields: object) -> bytes:
    return frame(json.dumps(fields).encode())


GARBAGE = {
    "no length": TOO_LARGE,
    "no JSON": frame(b"{"),
    "no UTF-8": frame(b'{"op":"\xff"}'),
    "nested without end": frame(DEEP),
    "a list": frame(b"[]"),
    "a number": frame(b"1"),
    "null": frame(b"null"),
    "nothing": frame(b""),
    "no op": request(id=1),
    "no id": request(op="sandboxes"),
    "an op of another type": request(id=1, op=["exec"]),
}


def exchanged(process: RuntimeProcess, data: bytes) -> bytes:
    """What comes back before the runtime hangs up, or until one answer is whole."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS_MAX)
        client.connect(str(process.socket))
        client.sendall(data)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "big"):
            part = client.recv(65536)
            if not part:
                return answer
            answer += part
        return answer


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_a_client_that_sends_no_request_is_hung_up(tmp_path, data):
    async with running(tmp_path) as (process, client):
        before = process.pid
        assert exchanged(process, data) == b""
        assert await client.nodes() == {}
        assert process.pid == before


@pytest.mark.parametrize("fields", [{"op": "dance"}, {"op": "nodes\0"}, {"op": "", "id": {}}])
async def test_a_request_that_is_not_known_is_refused(tmp_path, fields):
    async with running(tmp_path) as (process, client):
        answer = json.loads(exchanged(process, request(**{"id": 1} | fields))[4:])
        assert "error" in answer
        assert await client.nodes() == {}
