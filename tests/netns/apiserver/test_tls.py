"""Who gets in over TLS: holders of a certificate of the cluster's CA, or of a token."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
from support.api_server import TOKEN

from fabric.api.kinds import NAMESPACE
from fabric.apiserver.certificates import Pki
from fabric.control.http import HttpClient


async def get(running, path, context=None, **headers):
    context = context or ssl.create_default_context(cadata=running.pki.ca.certificate.decode())
    async with aiohttp.ClientSession() as session:
        async with session.get(running.url + path, ssl=context, headers=headers) as answer:
            return answer.status, await answer.text()


def with_certificate(running, pki, credential, tmp_path):
    file = tmp_path / "client.pem"
    file.write_bytes(credential.key + credential.certificate)
    context = ssl.create_default_context(cadata=running.pki.ca.certificate.decode())
    context.load_cert_chain(file)
    return context


async def test_a_stranger_may_ask_for_health_and_version_only(running):
    assert await get(running, "/healthz") == (200, "ok")
    assert (await get(running, "/version"))[0] == 200
    code, body = await get(running, "/api/v1/namespaces")
    assert code == 401 and '"reason":"Unauthorized"' in body


async def test_a_token_opens(running):
    code, _ = await get(running, "/api/v1/namespaces", Authorization=f"Bearer {TOKEN}")
    assert code == 200
    code, _ = await get(running, "/api/v1/namespaces", Authorization="Bearer guess")
    assert code == 401


@pytest.mark.parametrize("token", [b"\xff", "é".encode(), b"x" * 8000, b""])
async def test_a_token_of_any_bytes_is_refused_and_no_more(running, token):
    context = ssl.create_default_context(cadata=running.pki.ca.certificate.decode())
    for _ in range(2):
        reader, writer = await asyncio.open_connection(*running.server.addresses[0], ssl=context)
        head = b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
        writer.write(head + token + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_a_certificate_of_the_cluster_opens(running, tmp_path):
    context = with_certificate(running, running.pki, running.pki.client("jane", ("team",)), tmp_path)
    assert (await get(running, "/api/v1/namespaces", context))[0] == 200


async def test_a_certificate_of_another_authority_does_not(running, tmp_path):
    stranger = Pki.load_or_create(tmp_path / "other")
    context = with_certificate(running, stranger, stranger.admin, tmp_path)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await get(running, "/api/v1/namespaces", context)


async def test_the_client_of_the_components_gets_in_by_token(running):
    client = HttpClient.tls(running.url, ca=running.pki.directory / "ca.crt", token=TOKEN)
    try:
        found = await client.list(NAMESPACE)
        assert "default" in [item["metadata"]["name"] for item in found.items]
    finally:
        await client.close()
