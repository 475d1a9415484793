"""The schemas of Calico's resources as its CustomResourceDefinitions publish them, from crds.json.

The file names its source, version and licence. It decides which fields there are, and judges those that no
dataclass reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from calico.resources.refusals import Refusal

Schema = Mapping[str, Any]
INT_OR_STRING = {"type": ["integer", "string"]}
DATA = Path(__file__).with_name("crds.json")
_SPECS: Mapping[str, Mapping[str, Schema]] = json.loads(DATA.read_text())["specs"]
_DURATION = "(ms|s|m|h))*$"


def fields_of(kind: str) -> Mapping[str, Schema]:
    """The fields of the kind's spec, with the OpenAPI schema of each; none for a kind without a CRD."""
    return _SPECS.get(kind, {})


def refusals(path: str, schema: Schema, value: Any) -> Iterator[Refusal]:
    """The refusals of a value that the schema does not take, each at its own path."""
    words = words_of(str(schema.get("pattern", "")))
    for error in _validator(json.dumps(schema)).iter_errors(value):
        yield Refusal(_below(path, error.instance_path), _reason(error, words), error.instance)


def explained(schema: Schema) -> Schema:
    """The schema for API servers: its patterns in a form that every engine takes."""
    pattern = schema.get("pattern")
    return {**schema, "pattern": portable(pattern)} if pattern else schema


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft7Validator(_closed(json.loads(schema)))


def _closed(schema: Any) -> Any:
    """The schema in JSON Schema's words: a key that an object does not name is refused."""
    if isinstance(schema, list):
        return [_closed(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    found = {key: _closed(it) for key, it in schema.items()}
    if isinstance(pattern := found.get("pattern"), str):
        found["pattern"] = portable(pattern)
    return found | ({"additionalProperties": False} if "properties" in schema else {})


def _below(path: str, steps: list[str | int]) -> str:
    return path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _reason(error: jsonschema_rs.ValidationError, words: tuple[str, ...]) -> str:
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Type() as kind:
            return f"must be of type {' or '.join(kind.types)}"
        case jsonschema_rs.ValidationErrorKind.Enum() as kind:
            return f"must be one of: {', '.join(map(str, kind.options))}"
        case jsonschema_rs.ValidationErrorKind.Pattern() as kind:
            if words:
                return f"must be one of: {', '.join(words)}"
            if kind.pattern.endswith(_DURATION):
                return "must be a duration such as 90s or 1m30s"
            return f"must match {kind.pattern}"
    return str(error.message)


def portable(pattern: str) -> str:
    """The pattern in a form that every engine takes: `^(?i)(Drop|…)?$` becomes `^([Dd][Rr][Oo][Pp]|…)?$`."""
    words = words_of(pattern)
    if not words:
        return pattern.replace("0-9-_]", r"0-9\-_]")
    in_any_case = ("".join(f"[{it.upper()}{it.lower()}]" for it in word) for word in words)
    return f"^({'|'.join(in_any_case)})?$"


def words_of(pattern: str) -> tuple[str, ...]:
    """The words that a pattern such as `^(?i)(Drop|Reject)?$` takes in any case; none for another pattern."""
    head, tail = "^(?i)(", ")?$"
    inside = pattern.removeprefix(head).removesuffix(tail)
    is_list = pattern == head + inside + tail
    return tuple(inside.split("|")) if is_list else ()
