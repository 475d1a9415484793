"""Decoding makes a client's JSON an object that can be stored: known fields only, no nulls, the right types.

A null for a field means that it is not given; in a list, or as a value of a map, it is a zero value.

Nothing is copied that need not change: what comes out shares every clean subtree with what went in.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs

from fabric.api.kinds import Kind
from fabric.api.objects import Object, parse_timestamp
from fabric.apiserver import schema, zero_values
from fabric.apiserver.refusals import Cause, invalid_value, not_supported, required
from fabric.apiserver.schema import TIME, Shape
from fabric.plugin.served import ServedKind

BASE64 = "byte"
"""The format of Go's []byte."""
Report = Callable[[str], None]
"""Is told the path of each unknown field."""


def pruned(kind: Kind, obj: Object, unknown: Report, known: Object | None = None) -> Object:
    """The object without nulls and without fields that its kind does not have.

    Top-level fields that are the same as in `known` are taken to be clean.
    """
    at = schema.shape(kind)
    if at is None:
        return obj
    known = known or {}
    suspects = {name: value for name, value in obj.items() if name not in known or known[name] is not value}
    if _is_clean(at, suspects):
        return obj
    if not isinstance(kind, ServedKind):
        suspects = zero_values.for_nulls(at, suspects)
    clean = _pruned_value(at, suspects, "", unknown)
    return {
        name: clean.get(name, value) for name, value in obj.items() if name in clean or name not in suspects
    }


def _is_clean(at: Shape, value: Any) -> bool:
    """Whether pruning would change nothing: the common case, found out without making anything."""
    if type(value) is list:
        return at.items is None or _are_clean(at.items, value)
    fields = at.fields
    if fields is None:
        return at.values is None or _are_clean(at.values, value.values())
    for name, child in value.items():
        below = fields.get(name)
        if below is None or child is None or (type(child) in _NESTED and not _is_clean(below, child)):
            return False
    return True


def _are_clean(at: Shape, children: Iterable[Any]) -> bool:
    for child in children:
        if child is None or (type(child) in _NESTED and not _is_clean(at, child)):
            return False
    return True


def _pruned_value(at: Shape, value: Any, path: str, unknown: Report) -> Any:
    if isinstance(value, dict):
        if at.fields is not None:
            return _pruned_object(at.fields, value, path, unknown)
        return _pruned_map(at.values, value, path, unknown) if at.values else value
    if isinstance(value, list) and at.items is not None:
        return _pruned_list(at.items, value, path, unknown)
    return value


def _pruned_object(fields: Mapping[str, Shape], value: Object, path: str, unknown: Report) -> Object:
    clean: Object = {}
    same = True
    for name, child in value.items():
        at = fields.get(name)
        if at is None:
            unknown(_below(path, name))
        elif child is not None:
            kept = _pruned_value(at, child, _below(path, name), unknown) if type(child) in _NESTED else child
            clean[name] = kept
            same = same and kept is child
    return value if same and len(clean) == len(value) else clean


def _pruned_map(at: Shape, value: Object, path: str, unknown: Report) -> Object:
    if not any(type(child) in _NESTED or child is None for child in value.values()):
        return value
    clean = {
        name: _pruned_value(at, child, f"{path}[{name}]", unknown)
        for name, child in value.items()
        if child is not None
    }
    return value if _same_items(clean, value) else clean


def _same_items(left: Object, right: Object) -> bool:
    return len(left) == len(right) and all(left[name] is right[name] for name in left)


def _pruned_list(at: Shape, value: list[Any], path: str, unknown: Report) -> list[Any]:
    clean = [_pruned_value(at, child, f"{path}[{i}]", unknown) for i, child in enumerate(value)]
    return value if all(new is old for new, old in zip(clean, value, strict=True)) else clean


_NESTED = frozenset({dict, list})


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class TypeFault(NamedTuple):
    """A value that its type does not have, or a required field that is missing."""

    path: Sequence[str | int]
    value: Any
    cause: Cause

    @property
    def is_missing(self) -> bool:
        return self.cause.reason == "FieldValueRequired"


WRONG_MAX = 100


def type_faults(kind: Kind, obj: Object) -> Iterator[TypeFault]:
    """Every fault of types, in no order, up to the hundredth value of a wrong type."""
    validator = _validator(kind)
    if validator is None or validator.is_valid(obj):
        return
    wrong = 0
    for error in validator.iter_errors(obj):
        fault = TypeFault(error.instance_path, error.instance, _cause_of(error))
        yield fault
        wrong += not fault.is_missing
        if wrong == WRONG_MAX:
            return


def _validator(kind: Kind) -> jsonschema_rs.Validator | None:
    return _validator_of(kind, schema.identity(kind))


@cache
def _validator_of(kind: Kind, identity: int) -> jsonschema_rs.Validator | None:
    found = schema.definition(kind)
    if found is None:
        return None
    defs = {ref: _rewritten(definition) for ref, definition in schema.references(kind).items()}
    return jsonschema_rs.Draft7Validator(
        _rewritten(found) | {"$defs": defs},
        validate_formats=True,
        formats={TIME: _is_time, BASE64: _is_base64},
    )


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_BOUNDS = {
    f"int{bits}": {"minimum": -(1 << (bits - 1)), "maximum": (1 << (bits - 1)) - 1} for bits in (32, 64)
}


def _is_time(text: str) -> bool:
    """True when metav1.Time would take it, and everybody who reads it later can."""
    if not _RFC_3339.fullmatch(text):
        return False
    try:
        parse_timestamp(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


_DROPPED = frozenset({"description", "format", "default", "enum", "properties"})


def _rewritten(node: Any) -> Any:
    """The definition for validation: both types of an IntOrString, bounds of numbers, no documentation."""
    if isinstance(node, list):
        return [_rewritten(child) for child in node]
    if not isinstance(node, dict):
        return node
    if "oneOf" in node:
        return {"type": sorted({name for option in node["oneOf"] for name in _types(option["type"])})}
    kept = {key: _rewritten(child) for key, child in node.items() if key not in _DROPPED}
    if node.get("format") in (TIME, BASE64):
        kept["format"] = node["format"]
    kept |= _BOUNDS.get(str(node.get("format")), {})
    if "type" in node:
        kept["type"] = _types(node["type"])
    if "properties" in node:
        kept["properties"] = {name: _rewritten(child) for name, child in node["properties"].items()}
    return kept


def _types(declared: str | list[str]) -> list[str]:
    """The declared types but null: null fields are dropped before, and null items are refused."""
    return [name for name in ([declared] if isinstance(declared, str) else declared) if name != "null"]


def _cause_of(error: jsonschema_rs.ValidationError) -> Cause:
    path = _dotted(error.instance_path)
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        missing = str(kind.property).strip('"')
        return required(_below(path, missing))
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Enum):
        return not_supported(path, error.instance, [str(option) for option in kind.options])
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
        wanted = " or ".join(kind.types)
        return Cause(
            "FieldValueTypeInvalid",
            path,
            invalid_value(path, error.instance, f"must be of type {wanted}").message,
        )
    return invalid_value(path, error.instance, error.message)


def _dotted(path: list[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text
