"""Protobuf over HTTP: bodies, answers, lists, watches, refusals; and what there is none for."""

from __future__ import annotations

import asyncio

import pytest
from support import any_request

from fabric.api.kinds import BUILT_IN
from fabric.apiserver import protobuf_codec

PROTOBUF = "application/vnd.kubernetes.protobuf"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "settings"}, "data": {"a": "b"}}
CONTAINER = {"name": "web", "image": "nginx"}
TABLE = "as=Table;v=v1;g=meta.k8s.io"
METADATA = "as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def sent(http, method, path, body=None, accept=PROTOBUF):
    data = protobuf_codec.encode(body) if body is not None else None
    code, headers, answer = await http(method, path, data, Content_Type=PROTOBUF, Accept=accept)
    is_protobuf = headers["Content-Type"].startswith(PROTOBUF)
    return code, headers["Content-Type"], protobuf_codec.decode(answer) if is_protobuf else answer


async def test_an_object_is_created_read_and_deleted(http):
    code, form, made = await sent(http, "POST", CONFIG_MAPS, SETTINGS)
    assert (code, form, made["data"]) == (201, PROTOBUF, {"a": "b"})
    assert made["metadata"]["resourceVersion"] and made["metadata"]["uid"]
    _, _, read = await sent(http, "GET", f"{CONFIG_MAPS}/settings")
    assert read == made == await http.json("GET", f"{CONFIG_MAPS}/settings")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    code, _, refused = await sent(http, "DELETE", f"{CONFIG_MAPS}/settings", options)
    assert (code, refused["kind"], refused["reason"]) == (409, "Status", "Conflict")
    code, _, gone = await sent(http, "DELETE", f"{CONFIG_MAPS}/settings")
    assert (code, gone["status"], gone["details"]["uid"]) == (200, "Success", made["metadata"]["uid"])
    code, form, refused = await sent(http, "GET", f"{CONFIG_MAPS}/settings")
    assert (code, form) == (404, PROTOBUF)
    assert refused["details"] == {"name": "settings", "kind": "configmaps"}


async def test_the_clients_first_choice_that_there_is_wins(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    path = f"{CONFIG_MAPS}/settings"
    assert (await sent(http, "GET", path, accept=f"{PROTOBUF},application/json"))[1] == PROTOBUF
    assert (await sent(http, "GET", path, accept=f"application/json,{PROTOBUF}"))[1] == "application/json"
    # There is no message for a Table.
    both = f"{PROTOBUF};{TABLE},application/json;{TABLE},application/json"
    assert (await sent(http, "GET", path, accept=both))[1] == "application/json"
    assert (await sent(http, "GET", path, accept=f"{PROTOBUF};{TABLE}"))[0] == 406
    _, form, shown = await sent(http, "GET", path, accept=f"{PROTOBUF};{METADATA}")
    assert (form, shown["kind"], "data" in shown) == (PROTOBUF, "PartialObjectMetadata", False)
    assert shown["metadata"]["name"] == "settings"


async def test_a_list_comes_as_one_message(http):
    for name in ("one", "two"):
        await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": name}})
    code, headers, body = await http("GET", f"{CONFIG_MAPS}?limit=1", Accept=PROTOBUF)
    assert (code, headers["Content-Type"]) == (200, PROTOBUF)
    assert body.startswith(b"k8s\x00") and b"ConfigMapList" in body and b"one" in body and b"two" not in body


async def test_a_watch_is_a_stream_of_frames_with_envelopes_in_them(http):
    url = f"http://api{CONFIG_MAPS}?watch=true&resourceVersion=0&timeoutSeconds=5"
    await http("POST", CONFIG_MAPS, SETTINGS)
    async with http.session.get(url, headers={"Accept": f"{PROTOBUF},application/json"}) as watch:
        assert watch.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        await http("DELETE", f"{CONFIG_MAPS}/settings")
        for expected in (b"ADDED", b"DELETED"):
            size = int.from_bytes(await asyncio.wait_for(watch.content.readexactly(4), 60), "big")
            frame = await watch.content.readexactly(size)
            assert frame.startswith(b"\n" + bytes([len(expected)]) + expected)
            envelope = frame[frame.index(b"k8s\x00") :]
            assert protobuf_codec.decode(envelope)["data"] == {"a": "b"}


async def test_a_body_that_is_none_is_a_bad_request(http):
    code, _, _ = await http("POST", CONFIG_MAPS, b"{}", Content_Type=PROTOBUF)
    assert code == 400


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.plural)
async def test_every_kind_is_created_changed_listed_and_patched_in_protobuf(http, kind):
    """What is read as protobuf is what is read as JSON, whichever of the two it was written in."""
    name = any_request.seed(kind)["metadata"]["name"]
    path = any_request.path_of(kind)
    code, form, made = await sent(http, "POST", path, any_request.seed(kind))
    assert (code, form) == (201, PROTOBUF), made
    assert made == await http.json("GET", f"{path}/{name}")
    made["metadata"]["labels"] = {"app": "other"}
    code, _, changed = await sent(http, "PUT", f"{path}/{name}", made)
    assert (code, changed["metadata"]["labels"]["app"]) == (200, "other"), changed
    patch = b'{"metadata":{"annotations":{"a":"c"}}}'
    code, headers, body = await http(
        "PATCH", f"{path}/{name}", patch, Content_Type="application/merge-patch+json", Accept=PROTOBUF
    )
    assert (code, headers["Content-Type"]) == (200, PROTOBUF)
    assert protobuf_codec.decode(body) == await http.json("GET", f"{path}/{name}")
    _, _, listed = await http("GET", path, Accept=PROTOBUF)
    assert f"{kind.kind}List".encode() in listed and b"other" in listed


async def test_a_pod_is_bound_and_evicted_in_protobuf(http):
    pods = "/api/v1/namespaces/default/pods"
    await http("POST", "/api/v1/nodes", {"metadata": {"name": "node-1"}})
    await http("POST", pods, {"metadata": {"name": "pod-1"}, "spec": {"containers": [CONTAINER]}})
    head = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "pod-1"}}
    binding = head | {"target": {"kind": "Node", "name": "node-1"}}
    code, _, done = await sent(http, "POST", f"{pods}/pod-1/binding", binding)
    assert (code, done["kind"], done["status"]) == (201, "Status", "Success")
    assert (await http.json("GET", f"{pods}/pod-1"))["spec"]["nodeName"] == "node-1"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod-1"}}
    code, _, done = await sent(http, "POST", f"{pods}/pod-1/eviction", eviction)
    assert (code, done["status"]) == (201, "Success")
    assert "deletionTimestamp" in (await http.json("GET", f"{pods}/pod-1"))["metadata"]
