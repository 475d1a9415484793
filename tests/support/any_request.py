"""Requests for any served kind by any verb, drawn from the kinds' schemas: nearly right, rarely quite.

A seed of each kind is good. What is sent is a seed that was changed in a few places, by values of the
declared types and by odd ones, as JSON, YAML or protobuf, as an object or as one of the patches.
"""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any
from urllib.parse import quote

import yaml
from hypothesis import strategies as st

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver import protobuf_codec, schema
from support.any_pod import changed, full_pod, values
from support.strange_http import ACCEPTS, PARAMETERS
from support.strange_json import strange

_NAMES = {"BGPConfiguration": "default", "IPAMConfiguration": "default", "FelixConfiguration": "default"}
_METADATA = {
    "labels": {"app": "web"},
    "annotations": {"a": "b"},
    "finalizers": ["example.com/held"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}],
}
_OF_KINDS: dict[str, Object] = {
    "Namespace": {},
    "Node": {
        "spec": {"podCIDRs": ["10.0.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]},
        "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "InternalIP", "address": "1.1.1.1"}]},
    },
    "Pod": {"spec": full_pod()["spec"], "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    "ConfigMap": {"data": {"a": "b"}, "binaryData": {"c": "AA=="}},
    "Secret": {"data": {"a": "YQ=="}, "stringData": {"b": "c"}},
    "Event": {"involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"}, "count": 1},
    "Lease": {"spec": {"leaseDurationSeconds": 4, "renewTime": "2026-01-01T00:00:00.000000Z"}},
    "IPPool": {"spec": {"cidr": "10.244.0.0/16", "natOutgoing": True, "nodeSelector": "all()"}},
    "BGPPeer": {"spec": {"peerIP": "192.0.2.1", "asNumber": 65001, "nodeSelector": "rack == '1'"}},
    "BGPFilter": {"spec": {"exportV4": [{"action": "Accept", "matchOperator": "In", "cidr": "10.0.0.0/8"}]}},
    "BGPConfiguration": {"spec": {"asNumber": 64512, "communities": [{"name": "c", "value": "1:2"}]}},
    "IPReservation": {"spec": {"reservedCIDRs": ["10.244.1.0/24"]}},
    "IPAMConfiguration": {"spec": {"strictAffinity": False, "maxBlocksPerHost": 4}},
    "FelixConfiguration": {
        "spec": {"natPortRange": "1:2", "routeSource": "CalicoIPAM", "mtuIfacePattern": "e"}
    },
    "NetworkPolicy.networking.k8s.io": {
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
        }
    },
    "NetworkPolicy": {"spec": {"egress": [{"action": "Deny", "destination": {"notNets": ["10.0.0.0/8"]}}]}},
    "GlobalNetworkPolicy": {"spec": {"order": 1, "selector": "a == 'b'", "ingress": [{"action": "Allow"}]}},
    "HostEndpoint": {"spec": {"node": "node-1", "interfaceName": "eth0", "expectedIPs": ["192.0.2.1"]}},
    "NetworkSet": {"spec": {"nets": ["192.0.2.0/24"]}},
    "Tier": {"spec": {"order": 10, "defaultAction": "Pass"}},
}
_PATCHES = ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml")
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_DIRECTIVES = ("$patch", "$retainKeys", "$deleteFromPrimitiveList/finalizers", "$setElementOrder/containers")
_ODD_NUMBERS = ("1e999", "-1e999", "9" * 400, "NaN", "1.0", "-0", "1e2", "18446744073709551616")
_BODIES_OF_SUBRESOURCES = {
    "binding": {"target": {"kind": "Node", "name": "n"}},
    "eviction": {"deleteOptions": {"gracePeriodSeconds": 0}},
}


def _name(kind: Kind) -> str:
    return _NAMES.get(kind.kind, "thing")


def seed(kind: Kind) -> Object:
    """A good object of the kind."""
    meta = {"name": _name(kind)} | ({"namespace": "default"} if kind.namespaced else {})
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {**meta, **_METADATA},
        **deepcopy(_OF_KINDS.get(f"{kind.kind}.{kind.group}", _OF_KINDS.get(kind.kind, {}))),
    }


@st.composite
def any_requests(draw: st.DrawFn, kinds: tuple[Kind, ...]) -> bytes:
    """One request's bytes."""
    kind = draw(st.sampled_from(kinds))
    subresource = draw(st.sampled_from(["", "", "", *kind.subresources]))
    method = draw(st.sampled_from(["GET", "POST", "POST", "PUT", "PUT", "PATCH", "PATCH", "PATCH", "DELETE"]))
    path = path_of(kind)
    if subresource or method in ("PUT", "PATCH") or draw(st.booleans()):
        path += f"/{_name(kind)}" if method != "POST" or subresource else ""
    path += f"/{subresource}" if subresource else ""
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), max_size=2, unique=True))
    query = "&".join(f"{name}={quote(draw(PARAMETERS[name]), errors='replace')}" for name in names)
    headers = {"Host": "api", "Accept": draw(st.sampled_from(["application/json", *ACCEPTS]))}
    body = b""
    if method != "GET":
        headers["Content-Type"], body = draw(_bodies(kind, method, subresource))
    headers["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path}{'?' * bool(query)}{query} HTTP/1.1\r\n{lines}\r\n".encode() + body


def create(kind: Kind) -> bytes:
    """The request that creates the seed."""
    return create_of(kind, seed(kind))


def create_of(kind: Kind, obj: Object) -> bytes:
    """The request that creates an object of that kind."""
    body = json.dumps(obj).encode()
    return (
        f"POST {path_of(kind)} HTTP/1.1\r\nHost: api\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


def path_of(kind: Kind) -> str:
    """The path of the kind's collection."""
    root = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    return root + ("/namespaces/default" if kind.namespaced else "") + f"/{kind.plural}"


@st.composite
def _bodies(draw: st.DrawFn, kind: Kind, method: str, subresource: str) -> tuple[str, bytes]:
    """A content type and a body."""
    if method == "DELETE":
        options = {"gracePeriodSeconds": 1, "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}}
        return "application/json", _json(draw, _odd(draw, options))
    if method == "PATCH":
        form = draw(st.sampled_from(_PATCHES))
        return f"application/{form}", _json(draw, draw(_patches(kind, form)))
    obj = draw(_objects(kind, subresource))
    form = draw(st.sampled_from(["json", "json", "yaml", "protobuf"]))
    if form == "protobuf" and protobuf_codec.is_known(kind):
        return "application/vnd.kubernetes.protobuf", draw(_damaged(_protobuf(obj)))
    if form == "yaml":
        return "application/yaml", yaml.safe_dump(obj, allow_unicode=True).encode(errors="replace")
    return "application/json", _json(draw, obj)


@st.composite
def _objects(draw: st.DrawFn, kind: Kind, subresource: str) -> Object:
    obj = seed(kind)
    obj |= deepcopy(_BODIES_OF_SUBRESOURCES.get(subresource, {}))
    if draw(st.integers(0, 9)) == 0:
        return obj
    obj = draw(changed(schema.shape(kind) or schema.FREE_FORM, obj))
    return _odd(draw, obj) if draw(st.integers(0, 2)) == 0 else obj


def _odd(draw: st.DrawFn, obj: Any) -> Any:
    return strange(Random(draw(st.integers(0, 2**32))), obj)


def _json(draw: st.DrawFn, value: Any) -> bytes:
    """JSON, now and then with what only careless encoders write."""
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    match draw(st.integers(0, 19)):
        case 0:
            text = text.replace("1", draw(st.sampled_from(_ODD_NUMBERS)), 1)
        case 1:
            text = text.replace("{", '{"kind":"A","kind":null,', 1)
        case 2:
            text = text.replace('"', '"\\ud800', 1)
        case 3:
            return text.encode(errors="replace").replace(b'"', b'"\xff', 1)
    return text.encode(errors="surrogatepass")


def _protobuf(obj: Object) -> bytes:
    try:
        return protobuf_codec.encode(obj)
    except Exception:
        return b"k8s\x00"


@st.composite
def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes, with a few of them changed or cut."""
    damaged = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        if len(damaged) > 5:
            damaged[draw(st.integers(4, len(damaged) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged[: draw(st.integers(0, len(damaged)))] if draw(st.integers(0, 5)) == 0 else damaged)


@st.composite
def _patches(draw: st.DrawFn, kind: Kind, form: str) -> Any:
    shape = schema.shape(kind) or schema.FREE_FORM
    if form == "json-patch+json":
        paths = st.sampled_from(_pointers(seed(kind)))
        operation = st.fixed_dictionaries(
            {"op": st.sampled_from(_OPERATIONS), "path": paths},
            optional={"from": paths, "value": values(shape)},
        )
        return _odd(draw, draw(st.lists(operation, max_size=3)))
    patch = draw(changed(shape, seed(kind)))
    if form == "strategic-merge-patch+json":
        part = draw(st.sampled_from([part for part in patch.values() if isinstance(part, dict)] or [patch]))
        part[draw(st.sampled_from(_DIRECTIVES))] = draw(
            st.sampled_from(["delete", "replace", "merge", ["a"], [{"name": "main"}], None, 1, {}])
        )
    return patch


def _pointers(node: Any, path: str = "") -> list[str]:
    found = [path, f"{path}/-", f"{path}/x"]
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, child in below:
        found += _pointers(child, f"{path}/{str(step).replace('~', '~0').replace('/', '~1')}")
    return found
