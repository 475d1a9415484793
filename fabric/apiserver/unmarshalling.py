"""The words in which Go's JSON decoder refuses a value that its field cannot hold.

kube-apiserver answers them with 400, before it looks at an object as a whole: the innermost struct, the path
of the field below the object (without indices and map keys), and the field's Go type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from fabric.api.kinds import Kind
from fabric.apiserver.go_types import Field, struct_name, structs
from fabric.apiserver.refusals import invalid_value
from fabric.errors import BadRequest, Invalid

_TIME = "2006-01-02T15:04:05Z07:00"
_TIME_PIECES = (
    *(("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T")),
    *(("15", r"\d\d"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d(\.\d+)?")),
    ("Z07:00", r"Z|[+-]\d\d:\d\d"),
)
_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_GO_NAMES = {
    "Time": "string",
    "MicroTime": "string",
    "Quantity": "string",
    "IntOrString": "string",
    "Json": "map[string]interface {}",
}


class Misfit(NamedTuple):
    """A value that its field cannot hold: its path, and what the field takes."""

    path: Sequence[str | int]
    value: Any
    allowed: str
    """`text`, `true or false`, `a whole number`, …"""


class Undecodable(BadRequest):
    """A body has values that their fields cannot hold; Go's decoder speaks of the first."""

    def __init__(self, kind: Kind, wrong: Sequence[tuple[Sequence[str | int], Any]]) -> None:
        self.why = reason(kind, *wrong[0])
        self._kind, self._wrong = kind, wrong
        what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        super().__init__(f"{what}: {self.why}")

    @property
    def misfits(self) -> Iterator[Misfit]:
        """All the values, in no order."""
        return (Misfit(path, value, _allowed(self._kind, path)) for path, value in self._wrong)


def refused_patch(patch: Any, error: Undecodable) -> Invalid:
    """The answer to a patch that leads to such a value: upstream blames the patch as a whole."""
    cause = invalid_value("patch", orjson.dumps(patch).decode(), error.why)
    return Invalid(f' "" is invalid: {cause}', details={"causes": [cause.as_object()]})


def reason(kind: Kind, path: Sequence[str | int], value: Any) -> str:
    """Why the value at that path of an object cannot be decoded."""
    struct, field, is_item = _place(kind, path)
    type_ = field.type if field is not None else "interface {}"
    if isinstance(value, str) and type_ in ("Time", "MicroTime"):
        return _time_reason(value)
    if type_ == "Quantity":
        return _QUANTITY
    if isinstance(value, str) and type_ == "[]byte":
        return f"illegal base64 data at input byte {_first_not_base64(value)}"
    names = ".".join(part for part in _fields_of(kind, path))
    return (
        f"json: cannot unmarshal {_word(value, type_)} into Go struct field {struct}.{names} "
        f"of type {_go_type(field, is_item=is_item)}"
    )


def _allowed(kind: Kind, path: Sequence[str | int]) -> str:
    """The values that the field at that path takes, in a word."""
    _, field, is_item = _place(kind, path)
    if field is None:
        return "what its kind declares"
    if field.shape in ("[]", "map") and not is_item:
        return "a list" if field.shape == "[]" else "a mapping"
    return _ALLOWED.get(field.type, "a mapping")


_ALLOWED = {
    "string": "text",
    "bool": "true or false",
    "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits",
    "[]byte": "text in base64",
    "Time": "a time such as 2026-01-31T12:00:00Z",
    "MicroTime": "a time such as 2026-01-31T12:00:00.000000Z",
    "Quantity": "a quantity such as 100m or 1Gi",
    "IntOrString": "a whole number or text",
}


def _time_reason(text: str) -> str:
    """The error of Go's time.Parse."""
    rest = text
    for piece, pattern in _TIME_PIECES:
        found = re.match(pattern, rest)
        if found is None:
            return f'parsing time "{text}" as "{_TIME}": cannot parse "{rest}" as "{piece}"'
        rest = rest[found.end() :]
    return f'parsing time "{text}": ' + (f'extra text: "{rest}"' if rest else "day out of range")


def _place(kind: Kind, path: Sequence[str | int]) -> tuple[str, Field | None, bool]:
    """The innermost struct's name, the field, and whether the path leads to an item of it."""
    name, field, is_item = struct_name(kind.api_version, kind.kind), None, False
    struct = kind.kind
    for part in path:
        if field is not None and field.shape in ("[]", "map") and not is_item:
            is_item = True
            continue
        if field is not None:
            name = field.type
        field, is_item = _field(name, str(part)) if name in structs() else None, False
        if field is None:
            return struct, None, False
        assert name is not None
        struct = name.rpartition(".")[2]
    return struct, field, is_item


def _fields_of(kind: Kind, path: Sequence[str | int]) -> list[str]:
    """The names of fields in the path: not indices, and not the keys of maps."""
    names: list[str] = []
    for i, part in enumerate(path):
        _, field, is_item = _place(kind, path[: i + 1])
        if isinstance(part, str) and not (is_item and field is not None and field.shape == "map"):
            names.append(part)
    return names


def _field(name: str | None, part: str) -> Field | None:
    for field in structs()[name] if name else ():
        if field.is_inline and (found := _field(field.type, part)):
            return found
        if field.name == part:
            return field
    return None


def _go_type(field: Field | None, *, is_item: bool) -> str:
    if field is None:
        return "interface {}"
    package, _, noun = field.type.rpartition(".")
    name = f"{package.rpartition('/')[2]}.{noun}" if package else _GO_NAMES.get(field.type, field.type)
    if is_item or field.shape not in ("[]", "map"):
        return name
    return f"[]{name}" if field.shape == "[]" else f"map[string]{name}"


def _word(value: Any, type_: str) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            literal = f" {orjson.dumps(value).decode()}" if type_ in ("int32", "int64", "int") else ""
            return f"number{literal}"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _first_not_base64(text: str) -> int:
    """The error of Go's decoder: at a character of no meaning, or at the end of a body that is cut off."""
    for i, char in enumerate(text):
        if not (char.isascii() and (char.isalnum() or char in "+/")):
            return i
    return len(text) // 4 * 4
