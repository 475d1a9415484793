"""Whatever a client sends is answered with an object or a refusal, and the server lives on."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

import pytest
from support.strange_json import odd_value, strange

DEFAULT = "/api/v1/namespaces/default/"
META = {
    "labels": {"a": "b"},
    "annotations": {"x": "y"},
    "finalizers": ["example.com/held"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}],
}
CONTAINER = {
    "name": "web",
    "image": "nginx",
    "ports": [{"containerPort": 80}],
    "env": [{"name": "a", "value": "b"}],
    "resources": {"limits": {"cpu": "1"}},
    "livenessProbe": {"httpGet": {"port": 80}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "thing", **META},
    "spec": {
        "containers": [CONTAINER],
        "tolerations": [{"key": "a"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "podIPs": [{"ip": "::1"}],
    },
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "thing", **META},
    "spec": {"podCIDRs": ["10.0.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]},
    "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "InternalIP", "address": "1.1.1.1"}]},
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing"}, "data": {"a": "b"}}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "thing"}, "stringData": {"a": "b"}}
EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "thing"},
    "involvedObject": {"kind": "Pod", "name": "thing", "namespace": "default"},
    "firstTimestamp": "2026-01-01T00:00:00Z",
}
BINDING = {"kind": "Binding", "metadata": {"name": "thing"}, "target": {"kind": "Node", "name": "n"}}
EVICTION = {"kind": "Eviction", "metadata": {"name": "thing"}, "deleteOptions": {"gracePeriodSeconds": 0}}
DELETE = {"gracePeriodSeconds": 1, "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}}
PLACES = [
    (DEFAULT + "pods", POD),
    ("/api/v1/nodes", NODE),
    (DEFAULT + "configmaps", CONFIG_MAP),
    (DEFAULT + "secrets", SECRET),
    (DEFAULT + "events", EVENT),
]
OPERATIONS = [
    {"op": op, "path": "/metadata/labels/x", "from": "/metadata/labels", "value": "v"}
    for op in ("add", "remove", "replace", "test", "move", "copy")
]
DIRECTIVES = [
    ("spec", "containers"),
    ("spec", "$patch"),
    ("spec", "$retainKeys"),
    ("spec", "$setElementOrder/containers"),
    ("metadata", "$deleteFromPrimitiveList/finalizers"),
    ("metadata", "$setElementOrder/finalizers"),
]
PARAMETERS = ["limit", "labelSelector", "fieldSelector", "continue", "resourceVersionMatch", "dryRun"]
TEXTS = ["x", "1", "-1", "9" * 25, "a in (", "=", ",,", "!a", "%", "e30=", "metadata.name=x"]
ACCEPTS = ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", ";;=,"]


def strategic_patch(random):
    part, directive = random.choice(DIRECTIVES)
    return {part: {directive: odd_value(random)}}


def strange_request(random):
    """Method, path, body and content type of one request."""
    base, obj = random.choice(PLACES)
    below = random.choice(["", "", "/status"]) if obj in (POD, NODE) else ""
    patch = f"{base}/thing{below}"
    query = f"{random.choice(PARAMETERS)}={quote(random.choice(TEXTS))}"
    requests = [
        ("POST", base, obj, ""),
        ("POST", base, strange(random, obj), ""),
        ("PUT", patch, strange(random, obj), ""),
        ("PATCH", patch, strange(random, obj), "application/merge-patch+json"),
        ("PATCH", patch, strange(random, obj), "application/strategic-merge-patch+json"),
        ("PATCH", patch, strategic_patch(random), "application/strategic-merge-patch+json"),
        ("PATCH", patch, strange(random, OPERATIONS), "application/json-patch+json"),
        ("PATCH", patch, strange(random, random.sample(OPERATIONS, 1)), "application/json-patch+json"),
        ("POST", DEFAULT + "pods/thing/binding", strange(random, BINDING), ""),
        ("POST", DEFAULT + "pods/thing/eviction", strange(random, EVICTION), ""),
        ("DELETE", f"{base}/thing", strange(random, DELETE), ""),
        ("GET", f"{base}?{query}", None, ""),
        ("GET", f"{base}/{random.choice(['thing', '%ff', '%00', 'a%2Fb'])}", None, ""),
    ]
    return random.choice(requests)


@pytest.mark.parametrize("seed", range(4))
async def test_no_input_is_too_strange(http, seed):
    random = Random(seed)
    for _ in range(250):
        method, path, body, content_type = strange_request(random)
        accept = random.choice(ACCEPTS)
        code, _, answer = await http(method, path, body, Content_Type=content_type, Accept=accept)
        assert code < 500, f"{method} {path} {body!r} as {content_type or 'JSON'}: {answer!r}"


@pytest.mark.parametrize("field", ["spec", "status", "data", "noSuchField"])
@pytest.mark.parametrize("kind", ["configmaps", "secrets", "serviceaccounts"])
async def test_a_null_at_the_top_of_an_update_is_as_if_it_were_not_given(http, kind, field):
    path = f"/api/v1/namespaces/default/{kind}"
    created = await http.json("POST", path, {"metadata": {"name": "settings"}})
    code, _, body = await http("PUT", f"{path}/settings", {**created, field: None})
    assert code == 200, body
