"""The `paths` of the OpenAPI documents: every verb of every kind, with its parameters.

kubectl reads out of them whether the server knows dry runs and field validation: it looks for the
query parameters of each kind's PATCH.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver.openapi_schemas import V2_REF, V3_REF, gvk, schema_name
from fabric.apiserver.subresources import subresource_of

_METHODS = {
    "list": "get",
    "get": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}
_ACTIONS = {"create": "post", "update": "put"}
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"

_LISTING = ("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion")
_WATCHING = ("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch")
_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_DELETING = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_PARAMETERS = {
    "list": (*_LISTING, *_WATCHING),
    "create": _WRITING,
    "update": _WRITING,
    "patch": (*_WRITING, "force"),
    "delete": _DELETING,
    "deletecollection": (*_LISTING, *_DELETING),
}
_BOOLEANS = frozenset(("allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents"))
_INTEGERS = frozenset(("limit", "timeoutSeconds", "gracePeriodSeconds"))
_PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def v2_paths(kinds: Iterable[Kind]) -> dict[str, Object]:
    """The paths of Swagger 2.0, where bodies are parameters and types stand beside names."""
    return {
        path: {"parameters": [_v2_path_parameter(name) for name in names]}
        | {_METHODS[verb]: _v2_operation(kind, verb, below) for verb in verbs}
        for kind in kinds
        for path, names, verbs, below in _path_templates(kind)
    }


def v3_paths(kinds: Iterable[Kind]) -> dict[str, Object]:
    """The paths of OpenAPI 3.0, where bodies stand apart and types in schemas."""
    return {
        path: {"parameters": [_v3_path_parameter(name) for name in names]}
        | {_METHODS[verb]: _v3_operation(kind, verb, below) for verb in verbs}
        for kind in kinds
        for path, names, verbs, below in _path_templates(kind)
    }


PathTemplate = tuple[str, tuple[str, ...], list[str], str]
"""A path, the names in braces, the verbs there, and the subresource or nothing."""


def _path_templates(kind: Kind) -> Iterator[PathTemplate]:
    scope = ("namespace",) if kind.namespaced else ()
    namespace = "{namespace}" if kind.namespaced else None
    if kind.namespaced and "list" in kind.verbs:
        yield kind.path(), (), ["list"], ""
    on_collection: list[str] = [verb for verb in ("list", "create", "deletecollection") if verb in kind.verbs]
    yield kind.path(namespace), scope, on_collection, ""
    on_object: list[str] = [verb for verb in ("get", "update", "patch", "delete") if verb in kind.verbs]
    yield kind.path(namespace, "{name}"), (*scope, "name"), on_object, ""
    for below in kind.subresources:
        verbs = list(subresource_of(kind, below).verbs)
        yield kind.path(namespace, "{name}", below), (*scope, "name"), verbs, below


def _v2_operation(kind: Kind, verb: str, below: str) -> Object:
    parameters: list[Object] = [
        {"name": name, "in": "query", "type": _type(name), "uniqueItems": True}
        for name in _PARAMETERS.get(verb, ())
    ]
    body = _body(kind, verb)
    if body:
        parameters.append({"name": "body", "in": "body", "schema": {"$ref": V2_REF + body}})
    answer = {"description": "OK", "schema": {"$ref": V2_REF + _answer(kind, verb)}}
    return _described(kind, verb, below) | {
        "produces": ["application/json", "application/yaml"],
        "consumes": list(_PATCH_TYPES) if verb == "patch" else ["*/*"],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {"200": answer, "401": {"description": "Unauthorized"}},
    }


def _v3_operation(kind: Kind, verb: str, below: str) -> Object:
    operation = _described(kind, verb, below) | {
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": _type(name), "uniqueItems": True}}
            for name in _PARAMETERS.get(verb, ())
        ],
        "responses": {
            "200": {"description": "OK", "content": _content(V3_REF + _answer(kind, verb))},
            "401": {"description": "Unauthorized"},
        },
    }
    body = _body(kind, verb)
    if body:
        types = _PATCH_TYPES if verb == "patch" else ("*/*",)
        operation["requestBody"] = {"content": _content(V3_REF + body, types)}
    return operation


def _described(kind: Kind, verb: str, below: str) -> Object:
    group = "".join(part.capitalize() for part in (kind.group.split(".")[0] or "core", kind.version))
    shown = subresource_of(kind, below) if below else kind
    return {
        "description": f"{verb} {kind.plural}{'/' + below if below else ''}",
        "operationId": f"{verb}{group}{kind.kind}{below.capitalize()}",
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": gvk(shown.group, shown.version, shown.kind),
    }


def _body(kind: Kind, verb: str) -> str:
    bodies = {"patch": _PATCH, "delete": _DELETE_OPTIONS, "deletecollection": _DELETE_OPTIONS}
    return schema_name(kind) if verb in ("create", "update") else bodies.get(verb, "")


def _answer(kind: Kind, verb: str) -> str:
    if verb in ("delete", "deletecollection"):
        return _STATUS
    return schema_name(kind) + ("List" if verb == "list" else "")


def _content(ref: str, types: Iterable[str] = ("application/json", "application/yaml")) -> Object:
    return {type_: {"schema": {"$ref": ref}} for type_ in types}


def _type(name: str) -> str:
    if name in _BOOLEANS:
        return "boolean"
    return "integer" if name in _INTEGERS else "string"


def _v2_path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True}


def _v3_path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
