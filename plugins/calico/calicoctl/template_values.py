"""Resources as a Go template sees them: fields by their Go names, zero values, and how Go prints a value.

    {{.ObjectMeta.Name}}  {{.Name}}  {{.Spec.CIDR}}  {{.Spec.IPIPMode}}  {{index .Labels "rack"}}

Calico's Go names are those of the JSON, whatever their case. A field that is empty, and thus not in the JSON,
has the zero value of its type, which the resource's schema tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calico.resources.envelope import Metadata
from calico.resources.fields import schema
from calico.resources.table import RESOURCE_TYPES
from fabric.api.objects import Object
from fabric.errors import FabricError

_EMBEDDED = {"objectmeta": "metadata", "listmeta": "metadata"}
"""Go's names of the parts of every resource whose fields are the resource's too."""
_ZERO: Mapping[str, Any] = {"string": "", "boolean": False, "integer": 0, "number": 0, "array": []}


class TemplateError(FabricError):
    """A template that cannot be read, or that asks for what there is not."""


@dataclass(frozen=True, slots=True)
class Struct:
    """An object whose fields are known by its schema."""

    value: Mapping[str, Any]
    schema: Mapping[str, Any]

    def field(self, name: str) -> Any:
        """The field of that Go name; TemplateError names those that there are."""
        properties: Mapping[str, Any] = self.schema.get("properties") or {}
        folded = {key.lower(): key for key in (*self.value, *properties)}
        wanted = _EMBEDDED.get(name.lower(), name.lower())
        if wanted == "typemeta" and "kind" in self.value:
            return self
        key = folded.get(wanted)
        if key is not None:
            return typed(self.value.get(key), properties.get(key) or {})
        meta = properties.get("metadata")
        if meta is not None:
            return Struct(self.value.get("metadata") or {}, meta).field(name)
        there = ", ".join(sorted(folded.values()))
        raise TemplateError(f"there is no field {name}; there are: {there}")


def typed(value: Any, described: Mapping[str, Any]) -> Any:
    """The value with the schema of what is in it; for none, the zero value."""
    if value is None:
        value = {} if "properties" in described else _ZERO.get(str(described.get("type")))
    if isinstance(value, Mapping) and "properties" in described:
        return Struct(value, described)
    if isinstance(value, list):
        return [typed(item, described.get("items") or {}) for item in value]
    return value


def resource(obj: Object) -> Any:
    """A resource, or a list of one kind, with its schema."""
    kind = str(obj["kind"])
    resource_type = RESOURCE_TYPES[kind.removesuffix("List")]
    properties = {
        "metadata": schema(Metadata),
        "spec": schema(resource_type.SPEC),
        "kind": {"type": "string"},
        "apiVersion": {"type": "string"},
    }
    described: dict[str, Any] = {"type": "object", "properties": properties}
    if kind != resource_type.KIND:
        listed = {**properties, "items": {"type": "array", "items": described}}
        described = {"type": "object", "properties": {key: it for key, it in listed.items() if key != "spec"}}
    return Struct(obj, described)


def field(value: Any, name: str) -> Any:
    """`.name` of a value: a struct's field, or what a map has there."""
    if isinstance(value, Struct):
        return value.field(name)
    if isinstance(value, Mapping):
        return value.get(name, "")
    raise TemplateError(f"{printed(value)!r} has no field {name}: it is {_type(value)}")


def is_true(value: Any) -> bool:
    """False for Go's empty values: false, 0, nil, and what has no length."""
    return bool(value.value) if isinstance(value, Struct) else bool(value)


def printed(value: Any) -> str:
    """The value as Go's `%v`."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Struct):
        return printed(value.value)
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(printed, value))}]"
    return str(value)


def _type(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "a list: range over it"
    return "nothing" if value is None else f"a {type(value).__name__}"


def _length(value: Any) -> int:
    if isinstance(value, str | Sequence | Mapping):
        return len(value)
    raise TemplateError(f"len of {_type(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Struct):
            value = value.field(str(key))
        elif isinstance(value, Mapping):
            value = value.get(key, "")
        elif isinstance(value, list | tuple | str) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise TemplateError(f"index {printed(key)} is not in {_type(value)}")
    return value


def _joined(items: Any, separator: str, most: int = 0) -> str:
    if isinstance(items, Mapping):
        items = [f"{key}={printed(items[key])}" for key in sorted(items)]
    text = separator.join(map(printed, items if isinstance(items, list | tuple) else [items]))
    return text if not most or len(text) <= most else text[: most - 3] + "..."


def _formatted(text: str, *values: Any) -> str:
    """Go's verbs as Python's: %v and %t print, %q quotes."""
    shown = [value if type(value) in (int, float) else printed(value) for value in values]
    quoted = text.replace("%q", '"%s"')
    for verb in "vt":
        quoted = quoted.replace(f"%{verb}", "%s")
    try:
        return quoted % tuple(shown)
    except (TypeError, ValueError) as error:
        raise TemplateError(f"printf {text!r}: {error}") from None


def _compared(how: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(one: Any, two: Any) -> bool:
        try:
            return how(one, two)
        except TypeError:
            raise TemplateError(f"incompatible types for comparison: {_type(one)}, {_type(two)}") from None

    return compare


def _and(*values: Any) -> Any:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), values[-1])


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not is_true(value),
    "eq": lambda one, *others: any(one == other for other in others),
    "ne": lambda one, two: one != two,
    "lt": _compared(lambda one, two: one < two),
    "le": _compared(lambda one, two: one <= two),
    "gt": _compared(lambda one, two: one > two),
    "ge": _compared(lambda one, two: one >= two),
    "len": _length,
    "index": _index,
    "print": lambda *values: "".join(map(printed, values)),
    "println": lambda *values: " ".join(map(printed, values)) + "\n",
    "printf": _formatted,
    "join": _joined,
    "joinAndTruncate": _joined,
}
"""The functions of Go's templates, and the two of calicoctl's own."""
