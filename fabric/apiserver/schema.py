"""The OpenAPI definitions of Kubernetes: read once, when first asked for, from `kubernetes_validate`.

`definitions()` is the document's own JSON (never write into it). `shape(kind)` is the same as a tree that
a walk over an object can follow: fields, list items, map values, merge keys. A kind without a
definition has no shape and is kept as it comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from fabric.api.kinds import Kind
from fabric.plugin.served import ServedKind

Definition = Mapping[str, Any]

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)-local")
_REF = "#/$defs/"
_KEEPS_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


KUBERNETES = (1, 34)
"""The version that is emulated: the definitions are its own, and clients are told so."""


@cache
def _bundle() -> tuple[str, Path]:
    """The newest patch version of it that is bundled, as `v1.34.2`, and the folder of its schemas.

    The package is not imported: only its files are needed, and it would import another validator.
    """
    package = find_spec("kubernetes_validate")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "kubernetes-json-schema"
    found = [(matched, entry) for entry in folder.iterdir() if (matched := _VERSION.fullmatch(entry.name))]
    of_minor = [(int(m[3]), entry) for m, entry in found if (int(m[1]), int(m[2])) == KUBERNETES]
    patch, newest = max(of_minor, key=lambda pair: pair[0])
    return f"v{KUBERNETES[0]}.{KUBERNETES[1]}.{patch}", newest


@cache
def definitions() -> Mapping[str, Definition]:
    """All definitions by name (`io.k8s.api.core.v1.Pod`)."""
    document = orjson.loads((_bundle()[1] / "_definitions.json").read_bytes())
    defs: dict[str, Definition] = document["$defs"]
    return defs


def version() -> str:
    """The Kubernetes version of the definitions, as `v1.34.2`."""
    return _bundle()[0]


@cache
def _names_by_kind() -> Mapping[tuple[str, str, str], str]:
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, definition in definitions().items()
        if len(definition.get("x-kubernetes-group-version-kind", ())) == 1
        for gvk in definition["x-kubernetes-group-version-kind"]
    }


def definition_name(kind: Kind) -> str | None:
    """The name of the kind's definition, or None when there is none."""
    return _names_by_kind().get((kind.group, kind.version, kind.kind))


def definition(kind: Kind) -> Definition | None:
    """The kind's definition as it stands in the document, or as its plugin gives it; None without any."""
    if isinstance(kind, ServedKind):
        return _definition_of_plugin(kind)
    name = definition_name(kind)
    return definitions()[name] if name else None


OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def _definition_of_plugin(kind: ServedKind) -> Definition:
    meta = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    shown: dict[str, Any] = {
        "description": kind.description or f"{kind.kind} of {kind.api_version}.",
        "type": "object",
        "properties": meta | {"metadata": {"$ref": _REF + OBJECT_META}} | dict(kind.properties),
    }
    return shown if kind.properties else shown | {_KEEPS_UNKNOWN: True}


def references(kind: Kind) -> Mapping[str, Definition]:
    """The definitions that the kind's definition refers to, directly or not, by name."""
    name = definition_name(kind)
    return referred(name or OBJECT_META)


def referred(name: str) -> Mapping[str, Definition]:
    """The named definition and all that it refers to, directly or not."""
    found: dict[str, Definition] = {}
    wanted = [name]
    while wanted:
        if (current := wanted.pop()) not in found:
            found[current] = definitions()[current]
            wanted.extend(_refs_of(found[current]))
    return found


def _refs_of(node: Any) -> list[str]:
    if isinstance(node, dict):
        ref = node.get("$ref")
        own = [ref.removeprefix(_REF)] if isinstance(ref, str) else []
        return own + [name for child in node.values() for name in _refs_of(child)]
    if isinstance(node, list):
        return [name for child in node for name in _refs_of(child)]
    return []


TIME = "date-time"
"""The format of metav1.Time and MicroTime."""
_ZEROS: Mapping[str, Callable[[], Any]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


class Shape:
    """The shape of a value in an object: its fields, items or values, and how patches merge into it.

    At most one of `fields`, `items` and `values` is set; none of them means a leaf or free-form JSON.
    """

    def __init__(self, definition: Definition, place: Definition, name: str = "") -> None:
        self._definition = definition
        self.name = name
        """The definition's own name, such as `Container`; empty where it has none."""
        self.merge_key: str = place.get("x-kubernetes-patch-merge-key", "")
        """The field that names an item of this list; empty when patches replace the list."""
        self.strategies: tuple[str, ...] = _strategies(place)
        """`merge`, `replace` and `retainKeys`, as the place declares them."""

    @cached_property
    def fields(self) -> Mapping[str, Shape] | None:
        """The named fields of an object; None where names are free or there is no object."""
        places = self._definition.get("properties")
        if places is None or self._definition.get(_KEEPS_UNKNOWN):
            return None
        return {name: _shape_at(place) for name, place in places.items()}

    @cached_property
    def items(self) -> Shape | None:
        """The shape of a list's items."""
        place = self._definition.get("items")
        return None if place is None else _shape_at(place)

    @cached_property
    def values(self) -> Shape | None:
        """The shape of a map's values."""
        place = self._definition.get("additionalProperties")
        return _shape_at(place) if isinstance(place, dict) else None

    @property
    def zero(self) -> Any:
        """The empty value of its type, fresh; None for a time and where no type is declared."""
        declared = self._definition.get("type")
        names = [declared] if isinstance(declared, str) else declared or []
        made = next((_ZEROS[name] for name in names if name in _ZEROS), None)
        is_time = self._definition.get("format") == TIME
        return made() if made is not None and not is_time else None

    def child(self, name: str) -> Shape:
        """The shape of a field or map value; free-form where nothing is declared."""
        return (self.fields or {}).get(name) or self.values or FREE_FORM


def _strategies(place: Definition) -> tuple[str, ...]:
    text = place.get("x-kubernetes-patch-strategy", "")
    return tuple(text.split(",")) if text else ()


def _shape_at(place: Definition) -> Shape:
    ref = place.get("$ref")
    if not ref:
        return Shape(place, place)
    name = ref.removeprefix(_REF)
    return Shape(definitions()[name], place, name.rpartition(".")[2])


FREE_FORM = Shape({}, {})


def shape(kind: Kind) -> Shape | None:
    """The kind's shape, shared by all who ask; None when the kind has no definition."""
    return _shape(kind, identity(kind))


def identity(kind: Kind) -> int:
    """The identity of the kind's schema, as two kinds of plugins are equal when their names are."""
    return id(kind.properties) if isinstance(kind, ServedKind) else 0


@cache
def _shape(kind: Kind, identity: int) -> Shape | None:
    found = definition(kind)
    return Shape(found, {}, kind.kind) if found is not None else None


def merge_key(kind: Kind, *path: str) -> str:
    """The merge key of the list at that path (`"spec", "containers"`), empty when patches replace it."""
    at = shape(kind) or FREE_FORM
    for name in path:
        at = (at.items or at).child(name)
    return at.merge_key
