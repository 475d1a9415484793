"""Upstream's OpenAPI definitions, restored from the bundled JSON Schemas.

The bundle lets every value be null, and spells out unions; OpenAPI says `nullable` nowhere, and
has a format for the one union there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver import schema

V2_REF = "#/definitions/"
V3_REF = "#/components/schemas/"

_BUNDLED_REF = "#/$defs/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_ALWAYS = tuple(_META + name for name in ("DeleteOptions", "Status", "Patch", "ListMeta", "ObjectMeta"))
_REPLACED: dict[str, Object] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
}


def schemas(kinds: Iterable[Kind], ref: str) -> dict[str, Object]:
    """All definitions that the kinds need, by name; `ref` is the prefix of references among them."""
    served = tuple(kinds)
    names = [name for kind in served if (name := schema.definition_name(kind))]
    needed: dict[str, Any] = {}
    for name in (*names, *_ALWAYS):
        if name not in needed:
            needed |= schema.referred(name)
    found = {name: _published(name, needed[name], ref) for name in sorted(needed)}
    for kind in served:
        if schema.definition_name(kind) is None:
            found[schema_name(kind)] = _of_kind(kind, ref)
        found[schema_name(kind) + "List"] = _list_of(kind, ref)
    return found


def schema_name(kind: Kind) -> str:
    """The name of the kind's definition; kinds that upstream does not know are named by their group."""
    known = schema.definition_name(kind)
    reversed_group = ".".join(reversed(kind.group.split("."))) or "core"
    return known or f"{reversed_group}.{kind.version}.{kind.kind}"


def gvk(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _published(name: str, definition: Any, ref: str) -> Object:
    if name in _REPLACED:
        return {"description": definition.get("description", "")} | _REPLACED[name]
    return _cleaned(definition, ref)


def _cleaned(node: Any, ref: str) -> Object:
    clean: Object = {}
    for key, value in node.items():
        match key:
            case "type":
                clean[key] = _one_type(value)
            case "$ref":
                clean[key] = ref + value.removeprefix(_BUNDLED_REF)
            case "properties":
                clean[key] = {name: _property(name, child, ref) for name, child in value.items()}
            case "items" | "additionalProperties":
                clean[key] = _cleaned(value, ref) if isinstance(value, dict) else value
            case _:
                clean[key] = value
    if "$ref" in clean and ref == V3_REF and len(clean) > 1:
        # OpenAPI 3.0 ignores whatever stands beside a reference.
        clean["allOf"] = [{"$ref": clean.pop("$ref")}]
    return clean


def _property(name: str, node: Any, ref: str) -> Object:
    clean = _cleaned(node, ref)
    if name in ("apiVersion", "kind"):
        # The bundle narrows these two to the kind at hand; upstream leaves them open.
        clean.pop("enum", None)
    if "enum" in clean:
        clean["enum"] = [value for value in clean["enum"] if value is not None]
    return clean


def _one_type(type_: Any) -> Any:
    if isinstance(type_, list):
        return next(name for name in type_ if name != "null")
    return type_


def _of_kind(kind: Kind, ref: str) -> Object:
    """A kind that upstream does not know: as its plugin describes it, else without form."""
    known = schema.definition(kind)
    shown = _cleaned(known, ref) if known is not None else _free_form(kind, ref)
    return shown | {"x-kubernetes-group-version-kind": [gvk(kind.group, kind.version, kind.kind)]}


def _free_form(kind: Kind, ref: str) -> Object:
    return {
        "description": f"{kind.kind} of {kind.api_version}, whose fields are not described.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"{ref}{_META}ObjectMeta"},
        },
        "x-kubernetes-preserve-unknown-fields": True,
    }


def _list_of(kind: Kind, ref: str) -> Object:
    return {
        "description": f"{kind.kind}List is a list of {kind.kind} objects.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"{ref}{_META}ListMeta"},
            "items": {"type": "array", "items": {"$ref": ref + schema_name(kind)}},
        },
        "x-kubernetes-group-version-kind": [gvk(kind.group, kind.version, f"{kind.kind}List")],
    }
