"""The Go structs of the kinds that are served: what OpenAPI does not tell of their fields.

The table says each field's number in Protocol Buffers, its Go type, and whether JSON leaves it out when it is
empty; `bin/go-types` makes it from Kubernetes' sources.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

from fabric.api.objects import Object

META_KINDS = frozenset(
    ("DeleteOptions", "Status", "WatchEvent", "PartialObjectMetadata", "PartialObjectMetadataList")
)
"""Kinds of meta/v1, which may stand under the version of any group."""
_SCALARS = frozenset(("string", "bool", "int32", "int64", "int", "float64", "[]byte"))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a Go struct."""

    name: str
    """As in JSON; an inlined struct's fields stand among those of its parent, and this is its type."""
    number: int
    shape: str
    """`*` for a pointer, `[]` for a list, `map` for a map by name, or nothing."""
    type: str
    """A scalar of Go, Time, MicroTime, Quantity, IntOrString, Json, RawExtension, or a struct's name."""
    omits_empty: bool
    is_inline: bool

    @property
    def is_scalar(self) -> bool:
        return self.type in _SCALARS


Struct = tuple[Field, ...]


@cache
def structs() -> Mapping[str, Struct]:
    """All structs by name, such as `core/v1.PodSpec`."""
    table = orjson.loads((files("fabric.apiserver") / "go_types.json").read_bytes())
    return {name: tuple(_field(field, *row) for field, row in rows.items()) for name, rows in table.items()}


def _field(name: str, number: int, type_: str, flag: str = "") -> Field:
    shape = ""
    if type_ not in _SCALARS:
        for prefix, shape_ in (("*", "*"), ("[]", "[]"), ("map[string]", "map")):
            if type_.startswith(prefix):
                shape, type_ = shape_, type_.removeprefix(prefix)
                break
    return Field(name, number, shape, type_, flag == "omitempty", flag == "inline")


def struct_name(api_version: str, kind: str) -> str | None:
    """The struct of a kind, or None when the table has none."""
    group, _, version = api_version.rpartition("/")
    package = f"{group.partition('.')[0] or 'core'}/{version}"
    name = f"meta/v1.{kind}" if kind in META_KINDS else f"{package}.{kind}"
    return name if name in structs() else None


def without_empty(api_version: str, kind: str, obj: Object, known: Object | None = None) -> Object:
    """The object without what Go's JSON leaves out: empty values of fields that are omitempty and no pointer.

    Shares what does not change; top-level fields that are the same as in `known` are not looked at.
    """
    name = struct_name(api_version, kind)
    return obj if name is None else _trimmed(name, obj, known or {})


def _trimmed(name: str, obj: Object, known: Object) -> Object:
    rules = _rules(name)
    changed: Object = {}
    dropped: set[str] = set()
    for key, value in obj.items():
        rule = rules.get(key)
        if rule is None or known.get(key) is value:
            continue
        if not value:
            if rule.drops_empty:
                dropped.add(key)
        elif rule.struct:
            new = _trimmed_value(rule, value)
            if new is not value:
                changed[key] = new
    if not (dropped or changed):
        return obj
    return {key: changed.get(key, value) for key, value in obj.items() if key not in dropped}


def _trimmed_value(rule: _Rule, value: Any) -> Any:
    struct = rule.struct
    if isinstance(value, list):
        items = [_trimmed(struct, item, {}) if isinstance(item, dict) else item for item in value]
        return value if all(map(operator.is_, items, value)) else items
    if not isinstance(value, dict):
        return value
    if not rule.is_map:
        return _trimmed(struct, value, {})
    return {key: _trimmed(struct, item, {}) for key, item in value.items()}


class _Rule(NamedTuple):
    """A rule says what is to be done with one field."""

    drops_empty: bool
    """Structs are never empty to Go's encoder, and a pointer to an empty value says something."""
    struct: str
    """The struct of the field, or of its items; empty for a scalar."""
    is_map: bool


@cache
def _rules(name: str) -> Mapping[str, _Rule]:
    """The fields of a struct with which something is to be done."""
    found: dict[str, _Rule] = {}
    for key, field in _by_name(name).items():
        drops_empty = field.omits_empty and field.shape != "*"
        drops_empty = drops_empty and (field.is_scalar or field.shape in ("[]", "map"))
        struct = field.type if field.type in structs() else ""
        if drops_empty or struct:
            found[key] = _Rule(drops_empty, struct, field.shape == "map")
    return found


@cache
def _by_name(name: str) -> Mapping[str, Field]:
    """The fields of a struct as JSON has them: those of inlined structs among the others."""
    found: dict[str, Field] = {}
    for field in structs()[name]:
        found |= _by_name(field.type) if field.is_inline else {field.name: field}
    return found
