"""A Swagger 2.0 document as gnostic's `openapi.v2.Document`: the one form that kubectl 1.20 reads.

Field numbers are those of gnostic's OpenAPIv2.proto. Maps are lists of name and value; what gnostic
calls Any is YAML text, for which JSON does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from fabric.apiserver.protobuf import double, flag, integer, message, text, texts

Node = Mapping[str, Any]

_OPERATIONS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_SUB_SCHEMAS = {"header": 1, "formData": 2, "query": 3, "path": 4}


def encode(document: Node) -> bytes:
    """The document's bytes."""
    return b"".join(
        (
            text(1, document["swagger"]),
            message(2, _info(document["info"])),
            message(8, _named(2, document["paths"], _path_item)),
            message(9, _named(1, document["definitions"], _schema)),
            b"".join(message(12, _named(1, item, _strings)) for item in document.get("security", ())),
            message(13, _named(1, document.get("securityDefinitions", {}), _security_definition)),
        )
    )


def _named(field: int, nodes: Node, encode_value: Callable[[Any], bytes]) -> bytes:
    """A map: each entry a message of name (1) and value (2)."""
    return b"".join(
        message(field, text(1, name) + message(2, encode_value(value))) for name, value in nodes.items()
    )


def _any(value: Any) -> bytes:
    return text(2, orjson.dumps(value).decode())


def _extensions(field: int, node: Node) -> bytes:
    return _named(field, {key: value for key, value in node.items() if key.startswith("x-")}, _any)


def _info(info: Node) -> bytes:
    return text(1, info["title"]) + text(2, info["version"])


def _strings(values: Iterable[str]) -> bytes:
    return texts(1, values)


def _security_definition(node: Node) -> bytes:
    """An API key; no other scheme is used."""
    return message(2, text(1, node["type"]) + text(2, node["name"]) + text(3, node["in"]))


def _schema(node: Node) -> bytes:
    properties, items, extra = node.get("properties"), node.get("items"), node.get("additionalProperties")
    return b"".join(
        (
            text(1, node.get("$ref", "")),
            text(2, node.get("format", "")),
            text(3, node.get("title", "")),
            text(4, node.get("description", "")),
            message(5, _any(node["default"])) if "default" in node else b"",
            _limits(node),
            texts(19, node.get("required", ())),
            b"".join(message(20, _any(value)) for value in node.get("enum", ())),
            message(21, _additional(extra)) if extra is not None else b"",
            message(22, texts(1, (node["type"],))) if "type" in node else b"",
            message(23, message(1, _schema(items))) if items is not None else b"",
            b"".join(message(24, _schema(part)) for part in node.get("allOf", ())),
            message(25, _named(1, properties, _schema)) if properties is not None else b"",
            _extensions(31, node),
        )
    )


def _limits(node: Node) -> bytes:
    return b"".join(
        (
            double(7, node.get("maximum", 0)),
            double(9, node.get("minimum", 0)),
            integer(11, node.get("maxLength", 0)),
            integer(12, node.get("minLength", 0)),
            text(13, node.get("pattern", "")),
            integer(14, node.get("maxItems", 0)),
            integer(15, node.get("minItems", 0)),
            flag(16, node.get("uniqueItems", False)),
        )
    )


def _additional(extra: Node | bool) -> bytes:
    return flag(2, extra) if isinstance(extra, bool) else message(1, _schema(extra))


def _path_item(item: Node) -> bytes:
    operations = b"".join(
        message(field, _operation(item[method])) for method, field in _OPERATIONS.items() if method in item
    )
    return operations + b"".join(message(9, _parameter(p)) for p in item.get("parameters", ()))


def _operation(node: Node) -> bytes:
    return b"".join(
        (
            text(3, node.get("description", "")),
            text(5, node.get("operationId", "")),
            texts(6, node.get("produces", ())),
            texts(7, node.get("consumes", ())),
            b"".join(message(8, _parameter(parameter)) for parameter in node.get("parameters", ())),
            message(9, _named(1, node.get("responses", {}), _response)),
            texts(10, node.get("schemes", ())),
            _extensions(13, node),
        )
    )


def _parameter(node: Node) -> bytes:
    """A ParametersItem that holds a Parameter, which holds a body's or another's."""
    if node["in"] == "body":
        body = text(2, node["name"]) + text(3, "body") + flag(4, node.get("required", False))
        return message(1, message(1, body + message(5, _schema(node["schema"]))))
    place = node["in"]
    # Query and form parameters have `allow_empty_value` before their type, which moves the rest by one.
    shift = 1 if place in ("query", "formData") else 0
    sub_schema = b"".join(
        (
            flag(1, node.get("required", False)),
            text(2, place),
            text(3, node.get("description", "")),
            text(4, node["name"]),
            text(5 + shift, node["type"]),
            flag(19 + shift, node.get("uniqueItems", False)),
        )
    )
    return message(1, message(2, message(_SUB_SCHEMAS[place], sub_schema)))


def _response(node: Node) -> bytes:
    """A ResponseValue that holds a Response."""
    schema = message(2, message(1, _schema(node["schema"]))) if "schema" in node else b""
    return message(1, text(1, node.get("description", "")) + schema)
