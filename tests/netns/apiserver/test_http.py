"""The server as HTTP sees it: codes, headers, representations."""

from __future__ import annotations

import asyncio
import gzip
import stat

import orjson
import pytest
import yaml

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
CONTAINER = {"name": "web", "image": "nginx", "resources": None, "env": None}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_an_object_is_created_read_and_deleted(http):
    code, _, _ = await http("POST", CONFIG_MAPS, SETTINGS)
    assert code == 201
    code, headers, body = await http("GET", f"{CONFIG_MAPS}/settings")
    assert (code, headers["Content-Type"]) == (200, "application/json")
    uid = orjson.loads(body)["metadata"]["uid"]
    gone = await http.json("DELETE", f"{CONFIG_MAPS}/settings")
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "settings", "kind": "configmaps", "uid": uid}
    assert (await http("GET", f"{CONFIG_MAPS}/settings"))[0] == 404


async def test_a_put_that_creates_is_answered_with_201_and_one_that_replaces_with_200(http):
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lease-1"}}
    assert (await http("PUT", f"{leases}/lease-1?dryRun=All", lease))[0] == 201
    assert (await http("GET", f"{leases}/lease-1"))[0] == 404
    codes = [(await http("PUT", f"{leases}/lease-1", lease))[0] for _ in range(2)]
    assert codes == [201, 200]
    assert (await http("PUT", f"{CONFIG_MAPS}/settings", SETTINGS))[0] == 404


async def test_a_refusal_is_a_status(http):
    refused = await http.json("GET", f"{CONFIG_MAPS}/nobody")
    assert refused == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "nobody" not found',
        "reason": "NotFound",
        "details": {"name": "nobody", "kind": "configmaps"},
        "code": 404,
    }


async def test_unknown_paths_and_methods_are_refused_as_upstream_does(http):
    assert (await http("GET", "/nothing/here"))[0] == 404
    assert (await http("GET", "/api/v1/unicorns"))[0] == 404
    assert (await http("POST", "/api/v1/configmaps", SETTINGS))[0] == 405
    assert (await http("DELETE", "/api/v1/configmaps"))[0] == 405
    assert (await http("PUT", CONFIG_MAPS, SETTINGS))[0] == 405
    assert (await http("POST", "/api"))[0] == 405


async def test_head_answers_without_a_body_and_options_names_the_methods(http):
    code, headers, body = await http("HEAD", CONFIG_MAPS)
    assert (code, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    code, headers, _ = await http("OPTIONS", CONFIG_MAPS)
    assert code == 200
    assert headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, POST"


async def test_a_body_may_be_yaml_and_so_may_an_answer(http):
    body = yaml.safe_dump(SETTINGS).encode()
    code, _, _ = await http("POST", CONFIG_MAPS, body, Content_Type="application/yaml")
    assert code == 201
    _, headers, body = await http("GET", f"{CONFIG_MAPS}/settings", Accept="application/yaml")
    assert headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(body)["data"] == {"a": "b"}


async def test_bodies_that_cannot_be_read_are_refused(http):
    protobuf = {"Content_Type": "application/vnd.kubernetes.protobuf"}
    assert (await http("POST", CONFIG_MAPS, b"k8s\x00", **protobuf))[0] == 415
    assert (await http("POST", CONFIG_MAPS, b"{"))[0] == 400
    assert (await http("POST", CONFIG_MAPS, b"[]"))[0] == 400
    assert (await http("POST", CONFIG_MAPS, b"a: [", Content_Type="application/yaml"))[0] == 400
    assert (await http("PATCH", f"{CONFIG_MAPS}/x", b"{}", Content_Type="application/json"))[0] == 415
    apply = {"Content_Type": "application/apply-patch+yaml"}
    code, _, body = await http("PATCH", f"{CONFIG_MAPS}/nobody", b"{}", **apply)
    assert (code, b"server-side apply is not served" in body) == (415, True)
    too_large = SETTINGS | {"data": {"a": "x" * (3 * 1024 * 1024)}}
    assert (await http("POST", CONFIG_MAPS, too_large))[0] == 413


async def test_parameters_that_cannot_be_read_are_named(http):
    refused = await http.json("GET", f"{CONFIG_MAPS}?limit=many")
    assert refused["code"] == 400 and "limit" in refused["message"]
    refused = await http.json("GET", f"{CONFIG_MAPS}?labelSelector=a%3D%3D%3Db")
    assert refused["code"] == 400
    refused = await http.json("POST", f"{CONFIG_MAPS}?dryRun=some", SETTINGS)
    assert refused["code"] == 400 and "dryRun" in refused["message"]


async def test_a_list_comes_in_pages(http):
    for name in ("one", "three", "two"):
        await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": name}})
    first = await http.json("GET", f"{CONFIG_MAPS}?limit=2&labelSelector=")
    names = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    rest = await http.json("GET", f"{CONFIG_MAPS}?limit=2&continue={token}")
    names += [item["metadata"]["name"] for item in rest["items"]]
    assert [name for name in names if name != "kube-root-ca.crt"] == ["one", "three", "two"]
    assert "continue" not in rest["metadata"]


async def test_a_table_carries_what_was_asked_of_the_objects(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    path = f"{CONFIG_MAPS}/settings?includeObject="
    bare = await http.json("GET", path + "None", Accept=TABLE)
    assert bare["kind"] == "Table" and bare["apiVersion"] == "meta.k8s.io/v1"
    assert [column["name"] for column in bare["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert bare["rows"][0]["cells"][:2] == ["settings", 1] and "object" not in bare["rows"][0]
    whole = await http.json("GET", path + "Object", Accept=TABLE)
    assert whole["rows"][0]["object"]["data"] == {"a": "b"}
    meta = await http.json("GET", f"{CONFIG_MAPS}/settings", Accept=TABLE)
    assert meta["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_delete_collection_removes_what_the_selector_names(http):
    for name, labels in (("kept", {}), ("dropped", {"drop": "yes"})):
        await http("POST", CONFIG_MAPS, SETTINGS | {"metadata": {"name": name, "labels": labels}})
    deleted = await http.json("DELETE", f"{CONFIG_MAPS}?labelSelector=drop%3Dyes")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["dropped"]
    assert (await http("GET", f"{CONFIG_MAPS}/kept"))[0] == 200


async def test_namespaces_are_deleted_one_by_one(http):
    """As upstream, which serves no deletecollection there."""
    await http("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    refused = await http.json("DELETE", "/api/v1/namespaces")
    assert (refused["code"], refused["reason"]) == (405, "MethodNotAllowed")
    assert (await http.json("GET", "/api/v1/namespaces/team"))["status"] == {"phase": "Active"}
    resources = (await http.json("GET", "/api/v1"))["resources"]
    verbs = {found["name"]: found["verbs"] for found in resources}
    assert verbs["namespaces"] == ["create", "delete", "get", "list", "patch", "update", "watch"]
    assert "deletecollection" in verbs["nodes"] and "deletecollection" in verbs["pods"]


async def test_a_version_of_the_future_times_out_and_says_when_to_ask_again(http):
    code, headers, body = await http("GET", f"{CONFIG_MAPS}?resourceVersion=999999")
    assert (code, headers["Retry-After"]) == (504, "1")
    refused = orjson.loads(body)
    assert refused["reason"] == "Timeout"
    assert refused["message"].startswith("Timeout: Too large resource version: 999999, current: ")
    assert refused["details"]["retryAfterSeconds"] == 1


async def test_a_version_of_thousands_of_digits_is_a_bad_request(http):
    for path in (CONFIG_MAPS, f"{CONFIG_MAPS}/settings"):
        for more in ("", "&watch=true"):
            assert (await http("GET", f"{path}?resourceVersion={'9' * 4400}{more}"))[0] in (400, 404)


async def test_discovery_comes_whole_or_piece_by_piece(http):
    whole = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    code, headers, body = await http("GET", "/api", Accept=whole)
    assert code == 200 and headers["Vary"] == "Accept"
    assert headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert orjson.loads(body)["items"][0]["versions"][0]["version"] == "v1"
    groups = await http.json("GET", "/apis")
    names = [group["name"] for group in groups["groups"]]
    assert names == ["policy", "coordination.k8s.io", "networking.k8s.io"]
    assert (await http.json("GET", "/apis/policy/v1"))["resources"] == []
    resources = (await http.json("GET", "/api/v1"))["resources"]
    eviction = next(found for found in resources if found["name"] == "pods/eviction")
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")


async def test_openapi_is_sent_once(http):
    code, headers, body = await http("GET", "/openapi/v2")
    assert code == 200 and orjson.loads(body)["swagger"] == "2.0"
    code, _, body = await http("GET", "/openapi/v2", If_None_Match=headers["ETag"])
    assert (code, body) == (304, b"")
    index = (await http.json("GET", "/openapi/v3"))["paths"]
    assert set(index) == {"api/v1", "apis/coordination.k8s.io/v1", "apis/networking.k8s.io/v1"}
    code, _, _ = await http("GET", index["api/v1"]["serverRelativeURL"])
    assert code == 200


async def test_health_and_version_are_there(http):
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await http("GET", path))[2] == b"ok"
        assert (await http("GET", f"{path}/ping"))[2] == b"ok"
        assert (await http("GET", f"{path}/unicorn"))[0] == 404
        told = f"[+]ping ok\n[+]log excluded: ok\n[+]etcd ok\n{path[1:]} check passed\n"
        assert (await http("GET", f"{path}?verbose&exclude=log"))[2].decode() == told
    assert (await http.json("GET", "/version/"))["major"] == "1"


async def test_who_asks_in_anothers_name_is_refused(http):
    for header in ("Impersonate_User", "Impersonate_Group", "Impersonate_Extra_scopes", "Impersonate_Uid"):
        refused = await http.json("GET", CONFIG_MAPS, **{header: "jane"})
        assert (refused["code"], refused["reason"]) == (403, "Forbidden")
        assert "impersonation is not served" in refused["message"]


async def test_null_means_not_given_everywhere(http):
    pod = {"metadata": {"name": "pod-1", "creationTimestamp": None}, "spec": {"containers": [CONTAINER]}}
    pods = "/api/v1/namespaces/default/pods"
    code, _, _ = await http("POST", pods, {**pod, "status": None})
    assert code == 201
    meta = {"name": "pod-1", "creationTimestamp": None, "labels": None}
    await http("POST", "/api/v1/nodes", {"metadata": {"name": "node-1"}, "spec": None})
    target = {"kind": "Node", "name": "node-1", "namespace": None}
    code, _, body = await http("POST", f"{pods}/pod-1/binding", {"metadata": meta, "target": target})
    assert code == 201, body
    options = {"gracePeriodSeconds": 0, "preconditions": None, "dryRun": None, "propagationPolicy": None}
    code, _, body = await http("POST", f"{pods}/pod-1/eviction", {"metadata": meta, "deleteOptions": options})
    assert code == 201, body
    assert orjson.loads(body)["details"] == {}
    assert (await http("GET", f"{pods}/pod-1"))[0] == 404
    code, _, _ = await http("DELETE", "/api/v1/nodes/node-1", {**options, "kind": None, "apiVersion": None})
    assert code == 200


async def test_the_socket_is_for_its_owner_only(running):
    assert stat.S_IMODE(running.socket_path.stat().st_mode) == 0o600


async def test_a_client_that_waits_to_be_told_sends_its_body_then(running):
    reader, writer = await asyncio.open_unix_connection(str(running.socket_path))
    body = orjson.dumps({"metadata": {"name": "settings"}})
    head = f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: api\r\nExpect: 100-continue\r\nContent-Length: {len(body)}"
    writer.write(f"{head}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()


async def test_a_compressed_body_and_an_unknown_expectation_are_refused(http):
    body = gzip.compress(orjson.dumps({"metadata": {"name": "settings"}}))
    for headers, code in (({"Content_Encoding": "gzip"}, 415), ({"Expect": "patience"}, 400)):
        refused = await http.json("POST", CONFIG_MAPS, body, **headers)
        assert (refused["kind"], refused["code"]) == ("Status", code)


WARNED = (
    (b'{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}', "", 'duplicate field "data.x"'),
    (b'{"metadata":{"name":"b","name":"a"}}', "", 'duplicate field "metadata.name"'),
    (
        b"metadata: {name: a}\ndata:\n  x: a\n  x: b\n",
        "application/yaml",
        'line 4: key "x" already set in map',
    ),
    (b'{"metadata":{"name":"a"},"datta":{}}', "", 'unknown field "datta"'),
)


@pytest.mark.parametrize(("body", "form", "fault"), WARNED)
async def test_fields_that_are_unknown_or_come_twice_are_told_as_the_client_asks(http, body, form, fault):
    code, headers, _ = await http("POST", CONFIG_MAPS, body, Content_Type=form)
    quoted = fault.replace('"', '\\"')
    assert (code, headers["Warning"]) == (201, f'299 - "{quoted}"')
    strict = f"{CONFIG_MAPS}?fieldValidation=Strict"
    refused = await http.json("POST", strict, body, Content_Type=form)
    assert (refused["code"], refused["message"]) == (400, f"strict decoding error: {fault}")
    code, headers, _ = await http(
        "POST", f"{CONFIG_MAPS}?fieldValidation=Ignore&dryRun=All", body, Content_Type=form
    )
    assert code == 409 and "Warning" not in headers


async def test_a_patch_with_a_duplicate_key_is_told(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    patch = b'{"data":{"b":"1","b":"2"}}'
    code, headers, _ = await http(
        "PATCH", f"{CONFIG_MAPS}/settings", patch, Content_Type="application/merge-patch+json"
    )
    assert (code, headers["Warning"]) == (200, '299 - "duplicate field \\"data.b\\""')


async def test_an_object_without_metadata_lacks_a_name(http):
    for body in ({}, {"metadata": None}, {"metadata": {}}):
        refused = await http.json("POST", CONFIG_MAPS, body)
        assert (refused["code"], refused["reason"]) == (422, "Invalid")
        assert "name or generateName is required" in refused["message"]


async def test_a_deletion_takes_no_other_kinds_object_for_its_options(http):
    await http("POST", CONFIG_MAPS, SETTINGS)
    refused = await http.json("DELETE", f"{CONFIG_MAPS}/settings", SETTINGS)
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")
    assert (await http("GET", f"{CONFIG_MAPS}/settings"))[0] == 200
