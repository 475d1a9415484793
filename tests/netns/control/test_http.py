"""The HTTP client against a real server on a real socket."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import orjson
import pytest
from support.certificates import Authority
from support.eventually import eventually
from support.http_api import HttpApi, serving

from fabric import errors
from fabric.api.kinds import LEASE, NAMESPACE, NODE, POD
from fabric.control.client import STRATEGIC, WatchEvent
from fabric.control.http import HttpClient

POD_1 = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "pod-1"}}
PATH = "/api/v1/namespaces/default/pods"


@asynccontextmanager
async def connected(tmp_path):
    api = HttpApi()
    client = HttpClient.unix(tmp_path / "api.sock")
    async with serving(api, unix=tmp_path / "api.sock"):
        try:
            yield api, client
        finally:
            await client.close()


def line(type_, obj):
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


async def test_each_verb_is_the_request_that_kubernetes_knows(tmp_path):
    async with connected(tmp_path) as (api, client):
        await client.get(POD, "pod-1", "default")
        await client.create(POD, POD_1)
        await client.create(POD, POD_1, namespace="default", subresource="binding")
        await client.update(POD, POD_1, subresource="status")
        await client.patch(POD, "pod-1", {"spec": {}}, namespace="default", patch_type=STRATEGIC)
        await client.delete(POD, "pod-1", "default", grace_period_seconds=0, uid="u-1")
        await client.get(NODE, "node-1")
        await client.get(LEASE, "node-1", "kube-node-lease")
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    assert api.asked == [
        ("GET", f"{PATH}/pod-1", None),
        ("POST", PATH, POD_1),
        ("POST", f"{PATH}/pod-1/binding", POD_1),
        ("PUT", f"{PATH}/pod-1/status", POD_1),
        ("PATCH", f"{PATH}/pod-1?fieldManager=fabric", {"spec": {}}),
        ("DELETE", f"{PATH}/pod-1", options | {"gracePeriodSeconds": 0, "preconditions": {"uid": "u-1"}}),
        ("GET", "/api/v1/nodes/node-1", None),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1", None),
    ]
    assert api.headers[4]["Content-Type"] == STRATEGIC


async def test_a_list_carries_its_revision_and_its_items_say_their_kind(tmp_path):
    async with connected(tmp_path) as (api, client):
        bare = {"metadata": POD_1["metadata"]}
        api.answers["GET /api/v1/pods"] = (200, {"metadata": {"resourceVersion": "42"}, "items": [bare]})
        listed = await client.list(POD, label_selector="app=echo,tier!=db", field_selector="spec.nodeName=")
        assert listed.resource_version == "42"
        assert listed.items == (POD_1,)
    query = "labelSelector=app%3Decho%2Ctier%21%3Ddb&fieldSelector=spec.nodeName%3D"
    assert api.asked[0][1] == f"/api/v1/pods?{query}"


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (410, "Gone", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (403, "", errors.Forbidden),
        (409, "", errors.Conflict),
        (504, "Timeout", errors.ServerUnavailable),
        (500, "InternalError", errors.ApiError),
    ],
)
async def test_a_status_becomes_the_error_it_names(tmp_path, code, reason, error):
    async with connected(tmp_path) as (api, client):
        status = {"kind": "Status", "code": code, "reason": reason, "message": "no", "details": {"uid": "u"}}
        api.answers[f"GET {PATH}/pod-1"] = (code, status)
        with pytest.raises(errors.ApiError, match="no") as caught:
            await client.get(POD, "pod-1", "default")
        assert type(caught.value) is error
        assert caught.value.details == {"uid": "u"}


async def test_an_error_without_a_status_still_has_its_class_and_text(tmp_path):
    async with connected(tmp_path) as (api, client):
        api.answers[f"GET {PATH}/pod-1"] = (503, b"overloaded")
        with pytest.raises(errors.ServerUnavailable, match="overloaded"):
            await client.get(POD, "pod-1", "default")


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    client = HttpClient.unix(tmp_path / "api.sock")
    try:
        with pytest.raises(errors.ServerUnavailable, match=r"api\.sock"):
            await client.get(POD, "pod-1", "default")
        with pytest.raises(errors.ServerUnavailable):
            async for _ in client.watch(POD, resource_version="1"):
                pass
    finally:
        await client.close()


async def test_a_client_survives_a_restart_of_the_server(tmp_path):
    client = HttpClient.unix(tmp_path / "api.sock")
    try:
        for _ in range(2):
            async with serving(HttpApi(), unix=tmp_path / "api.sock"):
                assert await client.get(NAMESPACE, "default") == {"kind": "Ok"}
            with pytest.raises(errors.ServerUnavailable):
                await client.get(NAMESPACE, "default")
    finally:
        await client.close()


async def test_a_watch_yields_lines_however_they_are_cut_and_however_long(tmp_path):
    async with connected(tmp_path) as (api, client):
        big = POD_1 | {"data": "x" * 3_000_000}
        stream = line("ADDED", POD_1) + line("MODIFIED", big) + b"\n" + line("DELETED", POD_1)
        for start in range(0, len(stream), 700_001):
            api.chunks.put_nowait(stream[start : start + 700_001])
        api.chunks.put_nowait(None)
        events = [event async for event in client.watch(POD, "default", resource_version="7")]
    assert events == [
        WatchEvent("ADDED", POD_1),
        WatchEvent("MODIFIED", big),
        WatchEvent("DELETED", POD_1),
    ]
    asked = api.asked[0][1]
    assert asked.startswith(f"{PATH}?watch=true&allowWatchBookmarks=true&")
    assert "resourceVersion=7" in asked


async def test_events_arrive_while_the_watch_is_open(tmp_path):
    async with connected(tmp_path) as (api, client):
        watch = client.watch(POD, resource_version="7")
        for _ in range(3):
            api.chunks.put_nowait(line("ADDED", POD_1))
            async with asyncio.timeout(60):
                assert await anext(watch) == WatchEvent("ADDED", POD_1)
        assert api.watching == 1
        await watch.aclose()

        def the_server_has_noticed():
            api.chunks.put_nowait(line("ADDED", POD_1))
            return api.watching == 0

        await eventually(the_server_has_noticed)


async def test_an_error_event_and_a_refused_watch_are_raised(tmp_path):
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    async with connected(tmp_path) as (api, client):
        api.chunks.put_nowait(line("ERROR", gone))
        with pytest.raises(errors.Gone, match="too old"):
            await anext(client.watch(POD, resource_version="1"))
        api.answers["GET /api/v1/pods"] = (410, gone)
        with pytest.raises(errors.Gone, match="too old"):
            await anext(client.watch(POD, resource_version="1"))


async def test_a_watch_that_is_cut_off_is_unavailable(tmp_path):
    async with connected(tmp_path) as (api, client):
        api.chunks.put_nowait(line("ADDED", POD_1))
        api.chunks.put_nowait(b"cut")
        watch = client.watch(POD, resource_version="7")
        await anext(watch)
        with pytest.raises(errors.ServerUnavailable):
            await anext(watch)


async def test_many_requests_at_once_share_a_bounded_pool(tmp_path):
    async with connected(tmp_path) as (_, client):
        answers = await asyncio.gather(*(client.get(POD, f"pod-{n}", "default") for n in range(200)))
        assert answers == [{"kind": "Ok"}] * 200


async def test_over_tls_it_shows_its_token_and_trusts_only_its_authority(tmp_path):
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("localhost"))
    api = HttpApi()
    async with serving(api, tls=server) as url:
        trusting = HttpClient.tls(url, ca=authority.ca, token="s3cret")
        strange = HttpClient.tls(url, ca=Authority(tmp_path / "other").ca)
        try:
            await trusting.get(NODE, "node-1")
            with pytest.raises(errors.ServerUnavailable, match="ertificate"):
                await strange.get(NODE, "node-1")
        finally:
            await trusting.close()
            await strange.close()
    assert api.headers[0]["Authorization"] == "Bearer s3cret"


async def test_over_tls_a_client_certificate_is_shown(tmp_path):
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("localhost"))
    server.load_verify_locations(authority.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    async with serving(HttpApi(), tls=server) as url:
        known = HttpClient.tls(url, ca=authority.ca, cert=authority.issue("system:node:node-1"))
        unknown = HttpClient.tls(url, ca=authority.ca)
        try:
            assert await known.get(NODE, "node-1") == {"kind": "Ok"}
            with pytest.raises(errors.ServerUnavailable):
                await unknown.get(NODE, "node-1")
        finally:
            await known.close()
            await unknown.close()
