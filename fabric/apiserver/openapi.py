"""The OpenAPI documents of the served kinds: version 2 whole (JSON or protobuf), version 3 by group-version.

Only what the kinds refer to is in them. Each document is built when first asked for and kept until the
table of kinds changes; its ETag is a hash of its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson

from fabric.api.kinds import Kind, KindTable
from fabric.api.objects import Object
from fabric.apiserver import negotiation, openapi_paths, openapi_protobuf, openapi_schemas, schema
from fabric.apiserver.negotiation import JSON, MediaType

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""As answered: Go's parser of media types refuses the `@` that its own clients ask with."""
_V2_PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_V2_OFFERS = (MediaType(JSON), MediaType(V2_PROTOBUF), MediaType(_V2_PROTOBUF_ASKED))

_SECURITY = {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}}


@dataclass(frozen=True, slots=True)
class Document:
    """An OpenAPI document as it is sent."""

    body: bytes
    content_type: str
    etag: str


class OpenApi:
    """The documents for a table of kinds."""

    def __init__(self, kinds: KindTable) -> None:
        self._kinds = kinds
        self._built_for: tuple[Kind, ...] = ()
        self._built: dict[str, Document] = {}

    def document(self, path: str, accept: str) -> Document | None:
        """The document at `/openapi/<path>`; None when there is none."""
        kinds = tuple(self._kinds)
        if kinds != self._built_for:
            self._built, self._built_for = {}, kinds
        if path == "v2":
            chosen = negotiation.choose(accept, _V2_OFFERS)
            return self._v2_json() if chosen.name == JSON else self._v2_protobuf()
        if path == "v3":
            return self._kept(path, JSON, self._v3_index)
        wanted = path.removeprefix("v3/")
        members = [kind for kind in kinds if _v3_path(kind) == wanted]
        if not path.startswith("v3/") or not members:
            return None
        return self._kept(path, JSON, lambda: orjson.dumps(v3(members)))

    def _v2_json(self) -> Document:
        return self._kept("v2", JSON, lambda: orjson.dumps(v2(self._built_for)))

    def _v2_protobuf(self) -> Document:
        return self._kept("v2-protobuf", V2_PROTOBUF, lambda: openapi_protobuf.encode(v2(self._built_for)))

    def _v3_index(self) -> bytes:
        paths = {}
        for group_version in dict.fromkeys(map(_v3_path, self._built_for)):
            document = self.document(f"v3/{group_version}", JSON)
            assert document is not None
            digest = document.etag.strip('"')
            paths[group_version] = {"serverRelativeURL": f"/openapi/v3/{group_version}?hash={digest}"}
        return orjson.dumps({"paths": paths})

    def _kept(self, name: str, content_type: str, build: Callable[[], bytes]) -> Document:
        if name not in self._built:
            body = build()
            digest = hashlib.sha256(body).hexdigest()[:32].upper()
            self._built[name] = Document(body, content_type, f'"{digest}"')
        return self._built[name]


def v2(kinds: Iterable[Kind]) -> Object:
    """The Swagger 2.0 document of the kinds."""
    served = tuple(kinds)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": openapi_paths.v2_paths(served),
        "definitions": openapi_schemas.schemas(served, "#/definitions/"),
        "securityDefinitions": _SECURITY,
        "security": [{"BearerToken": []}],
    }


def v3(kinds: Iterable[Kind]) -> Object:
    """The OpenAPI 3.0 document of the kinds of one group-version."""
    served = tuple(kinds)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": openapi_paths.v3_paths(served),
        "components": {
            "schemas": openapi_schemas.schemas(served, openapi_schemas.V3_REF),
            "securitySchemes": _SECURITY,
        },
    }


def _info() -> Object:
    return {"title": "Kubernetes", "version": schema.version()}


def _v3_path(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
