"""Hypothesis strategies for HTTP requests that nobody sends: bytes for the API server's socket."""

from __future__ import annotations

import base64
import gzip
import json
from random import Random
from typing import Any
from urllib.parse import quote

import orjson
from hypothesis import strategies as st

from support.strange_json import strange

OBJECTS: list[tuple[str, dict[str, Any]]] = [
    (
        "/api/v1/namespaces/default/pods",
        {"metadata": {"name": "thing"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}},
    ),
    ("/api/v1/nodes", {"metadata": {"name": "thing"}, "spec": {"podCIDR": "10.0.0.0/24"}}),
    ("/api/v1/namespaces", {"metadata": {"name": "team"}}),
    ("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "thing"}, "data": {"a": "b"}}),
    ("/api/v1/namespaces/default/secrets", {"metadata": {"name": "thing"}, "stringData": {"a": "b"}}),
    (
        "/apis/coordination.k8s.io/v1/namespaces/default/leases",
        {"metadata": {"name": "thing"}, "spec": {"leaseDurationSeconds": 4}},
    ),
]
TAILS = ["", "/thing", "/thing/status", "/thing/binding", "/thing/eviction", "/thing/finalize", "/thing/log"]
OTHER_PATHS = [
    "/",
    "/api",
    "/apis",
    "/api/v1",
    "/version",
    "/readyz",
    "/openapi/v2",
    "/openapi/v3",
    "//",
    "*",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]
TYPES = [
    *("application/json", "application/yaml", "application/merge-patch+json", "text/plain", ";;=", "é"),
    *(
        "application/strategic-merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
    ),
    *("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf;type=watch", ""),
]
ACCEPTS = [
    *TYPES,
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    "*/*;q=" + "9" * 5000,
]
HEADERS = {
    "Authorization": ["Bearer \xff", "Bearer " + "x" * 5000, "Basic é", "Bearer", ""],
    "Impersonate-User": ["root", "\xff"],
    "Content-Encoding": ["gzip", "deflate", "br", "x"],
    "If-None-Match": ['"', "\xff"],
    "Expect": ["100-continue", "x"],
    "Upgrade": ["websocket", "SPDY/3.1", "h2c"],
    "Connection": ["Upgrade", "keep-alive"],
    "Host": ["", "[::", "a b"],
}
NUMBERS = ["0", "1", "-1", "9" * 19, "9" * 25, "9" * 4400, "0x10", "1e3", "٣", "1_0", " 1", ""]
TEXTS = st.one_of(
    st.sampled_from(
        ["x", "a in (", "=", ",,", "!a", "a>" + "9" * 5000, "a in (" + "b," * 500 + ")", "metadata.name=x"]
    ),
    st.sampled_from(NUMBERS),
    st.text(max_size=20),
    st.binary(max_size=12).map(lambda data: data.decode("latin-1")),
)
TOKENS = st.one_of(
    st.sampled_from(
        [{"rv": 10**30, "k": "a"}, {"rv": -1, "k": ""}, {"rv": 1.5, "k": 1}, [], {"rv": 1, "k": "\x00"}]
    ),
    st.dictionaries(
        st.sampled_from(["rv", "k", "v"]), st.one_of(st.integers(-(2**63), 2**63), st.text(max_size=5))
    ),
).map(lambda fields: base64.urlsafe_b64encode(json.dumps(fields).encode()).decode())
PARAMETERS = {
    **dict.fromkeys(["limit", "timeoutSeconds", "gracePeriodSeconds"], st.sampled_from(NUMBERS)),
    **dict.fromkeys(["labelSelector", "fieldSelector", "resourceVersionMatch", "dryRun", "pretty"], TEXTS),
    **dict.fromkeys(["fieldValidation", "fieldManager", "propagationPolicy", "includeObject"], TEXTS),
    # A version of the future waits three seconds, by upstream's rule.
    "resourceVersion": st.sampled_from([number for number in NUMBERS if number != "9" * 19]),
    "continue": st.one_of(TEXTS, TOKENS),
    **dict.fromkeys(["watch", "sendInitialEvents", "allowWatchBookmarks"], st.sampled_from(["true", "x"])),
}


def _deep(depth: int) -> list[bytes]:
    return [
        b"[" * depth,
        b"[" * depth + b"]" * depth,
        b'{"metadata":{"name":"deep"},"data":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}",
        b"- " * depth,
    ]


def _body(obj: dict[str, Any]) -> st.SearchStrategy[bytes]:
    operation = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
            "path": st.sampled_from(
                ["", "/metadata/labels/x", "/spec/containers/" + "9" * 5000, "/x/-", "x", "/~2"]
            ),
        },
        optional={"from": st.sampled_from(["", "/metadata", "/spec/containers/0"]), "value": st.integers()},
    ).map(lambda op: {**op, "value": op["value"] % 2**60} if "value" in op else op)
    return st.one_of(
        st.just(orjson.dumps(obj)),
        st.integers(0, 2**32).map(lambda seed: orjson.dumps(strange(Random(seed), obj), default=str)),
        st.sampled_from([body for depth in (10, 100, 256, 1100, 100_000) for body in _deep(depth)]),
        st.lists(operation, max_size=4).map(orjson.dumps),
        st.sampled_from([b"k8s\x00" + tail for tail in (b"", b"\xff" * 20, b"\x0a\x80\x80\x80\x80\x10")]),
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda data: b"k8s\x00" + data),
        st.sampled_from([b"a: &a [*a]", b"a: !!binary [x]", b"<<: 1", b"a: " + b"9" * 5000, b"\xff\xfe"]),
        st.just(gzip.compress(b"[" * 1_000_000)),
    )


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request's bytes, which ask for the connection to be closed after it."""
    base, obj = draw(st.sampled_from(OBJECTS))
    path = draw(st.one_of(st.sampled_from(TAILS).map(lambda tail: base + tail), st.sampled_from(OTHER_PATHS)))
    if draw(st.integers(0, 9)) == 0:
        path += "/" + quote(draw(st.binary(max_size=8)))
    chosen = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), max_size=2, unique=True))
    query = "&".join(f"{name}={quote(draw(PARAMETERS[name]), errors='replace')}" for name in chosen)
    headers = {
        "Host": "api",
        "Accept": draw(st.sampled_from(ACCEPTS)),
        "Content-Type": draw(st.sampled_from(TYPES)),
    }
    for name in draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=2, unique=True)):
        headers[name] = draw(st.sampled_from(HEADERS[name]))
    headers.setdefault("Connection", "close")
    method = draw(st.sampled_from(METHODS))
    body = draw(_body(obj)) if method not in ("GET", "HEAD") or draw(st.booleans()) else b""
    return _framed(
        method, f"{path}?{query}" if query else path, headers, body, draw(st.sampled_from("lllllcccccx"))
    )


def _framed(method: str, target: str, headers: dict[str, str], body: bytes, framing: str) -> bytes:
    """With a length, in chunks, or (x) in chunks that are none."""
    if framing == "l":
        headers["Content-Length"] = str(len(body))
        content = body
    else:
        headers["Transfer-Encoding"] = "chunked"
        size = b"%x" % len(body) if framing == "c" else b"zz"
        content = (size + b"\r\n" + body + b"\r\n" if body or framing == "x" else b"") + b"0\r\n\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + content
