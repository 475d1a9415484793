"""patch and label: one resource, changed where it stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jsonpatch

from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.manifests import NAMESPACE, Unsupported, namespace_of, resource_type_named
from calico.calicoctl.resource_client import RETRY_SECONDS, UPDATE_TRIES_MAX, ResourceClient
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.resources.envelope import Resource
from fabric.api.mergepatch import merge_patched
from fabric.api.names import label_value_faults, qualified_name_faults
from fabric.api.objects import Object
from fabric.errors import Conflict, FabricError, NotFound

PATCH_TYPES = ("strategic", "merge", "json")
_OF_THE_STORE = ("name", "namespace", "uid", "creationTimestamp", "resourceVersion")
_DIRECTIVE = "$patch"


async def _patch(session: Session, arguments: Arguments) -> None:
    type_ = arguments.value("type", "strategic")
    if type_ not in PATCH_TYPES:
        raise Refused(f"patch type '{type_}' is not supported; allowed: {', '.join(PATCH_TYPES)}")
    if not arguments.flag("patch"):
        raise Refused("a patch is needed: --patch=<PATCH>")
    resource_type, (name,) = resource_type_named(arguments.words[0]), arguments.words[1:]
    try:
        patch = json.loads(arguments.value("patch"))
    except ValueError as error:
        raise Refused(f"hit error: the patch is not JSON: {error}") from None
    namespace = namespace_of(resource_type, "", arguments.value("namespace"))
    client = await session.resources()
    try:
        await _changed(client, resource_type, name, namespace, lambda obj: patched(obj, patch, type_))
    except FabricError as error:
        raise Refused(f"hit error: {error}") from None
    session.say(f"Successfully patched 1 '{resource_type.KIND}' resource")


async def _changed(
    client: ResourceClient,
    resource_type: type[Resource],
    name: str,
    namespace: str,
    change: Callable[[Object], Object],
) -> None:
    """Read, change, write over what was read; again when somebody was faster."""
    for _ in range(UPDATE_TRIES_MAX):
        old = await client.get(resource_type, name, namespace)
        client.refuse_read_only("patch", resource_type, name)
        obj = old.to_object()
        changed = change(obj)
        kept = {key: obj["metadata"][key] for key in _OF_THE_STORE if key in obj["metadata"]}
        meta = {**(changed.get("metadata") or {}), **kept}
        try:
            await client.put(resource_type.from_manifest({**changed, "metadata": meta}, obj), old)
            return
        except Conflict:
            await asyncio.sleep(RETRY_SECONDS)
    raise Conflict(f"update conflict: {resource_type.KIND}({name})")


def patched(obj: Object, patch: Any, type_: str) -> Object:
    """The object with the patch applied; Refused when it cannot be.

    Lists of Calico's resources have no merge keys: strategic is merge, with directives replace and delete.
    """
    if type_ == "json":
        result = _json_patched(obj, patch)
    elif isinstance(patch, dict):
        result = merge_patched(obj, patch) if type_ == "merge" else _merged(obj, patch)
    else:
        raise Refused("a patch of this type is a JSON object")
    if not isinstance(result, dict) or not isinstance(result.get("metadata") or {}, dict):
        raise Refused("the patch leaves no resource: metadata must be an object")
    return result


def _json_patched(obj: Any, patch: Any) -> Any:
    if not isinstance(patch, list):
        raise Refused("a patch of type json is a list of operations")
    for index, operation in enumerate(patch):
        try:
            obj = jsonpatch.JsonPatch([operation]).apply(obj)
        except jsonpatch.JsonPatchTestFailed:
            raise _inapplicable(index, operation, "the value is another one") from None
        except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPointerException, TypeError, LookupError):
            raise _inapplicable(index, operation, "there is no such place") from None
        except jsonpatch.JsonPatchException as error:
            raise _inapplicable(index, operation, str(error)) from None
    return obj


def _inapplicable(index: int, operation: Any, why: str) -> Refused:
    return Refused(f"operation {index + 1} of the JSON patch, {json.dumps(operation)}: {why}")


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    directive = patch.get(_DIRECTIVE)
    if directive not in (None, "merge", "replace"):
        raise Refused(f"unknown directive {_DIRECTIVE}: {directive!r}; allowed: merge, replace, delete")
    given = {name: value for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "replace":
        return given
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in given.items():
        if value is None or (isinstance(value, dict) and value.get(_DIRECTIVE) == "delete"):
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


async def _label(session: Session, arguments: Arguments) -> None:
    kind, name, label = arguments.words
    try:
        resource_type = resource_type_named(kind)
    except Unsupported as error:
        raise Refused(f"failed to get {kind} {name}, error {error}") from None
    removes, overwrites = arguments.flag("remove"), arguments.flag("overwrite")
    key, equals, value = label.partition("=")
    if removes and overwrites:
        raise Refused("--remove and --overwrite exclude each other")
    if bool(equals) == removes:
        raise Refused(f"invalid label {label}")
    if not removes and (faults := [*qualified_name_faults(key), *label_value_faults(value)]):
        raise Refused(f"invalid label {label}: {'; '.join(faults)}")
    namespace = namespace_of(resource_type, "", arguments.value("namespace"))
    client = await session.resources()
    try:
        old = await client.get(resource_type, name, namespace)
    except NotFound:
        raise Refused(f"{kind} {name} not found") from None
    client.refuse_read_only("label", resource_type, name)
    labels = dict(old.labels)
    if removes and key not in labels:
        raise Refused(f"cannot remove label of {kind} {name}, key {key} does not exist")
    there = not removes and key in labels
    if there and not overwrites and labels[key] != value:
        what = f"failed to update label of {kind} {name}, key {key} is already present."
        raise Refused(f"{what} please use '--overwrite' to set a new value.")
    if removes:
        del labels[key]
    else:
        labels[key] = value
    try:
        await client.put(replace(old, metadata=replace(old.metadata, labels=labels)), old)
    except FabricError as error:
        raise Refused(f"failed to update {kind} {name}, label not changed: {error}") from None
    session.say(_said(removes, there, key, f"{kind} {name}"))


def _said(removes: bool, there: bool, key: str, what: str) -> str:
    if removes:
        return f"Successfully removed label {key} from {what}"
    return f"Successfully {'updated' if there else 'set'} label {key} on {what}"


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "patch",
            "<KIND> <NAME> --patch=<PATCH> [--type=<TYPE>] [--namespace=<NS>]",
            "Change a resource by a patch.",
            "  strategic   objects merge, lists are replaced; $patch: replace or delete\n"
            "  merge       RFC 7386: null removes\n"
            "  json        RFC 6902: a list of operations",
            (
                Option("patch", "The patch, in JSON.", "p", "PATCH"),
                Option("type", "strategic, merge or json [default: strategic].", "t", "TYPE"),
                NAMESPACE,
            ),
            (
                (
                    "Make a node a route reflector.",
                    """patch node node-1 -p '{"spec":{"bgp":{"routeReflectorClusterID":"244.0.0.1"}}}'""",
                ),
            ),
            words_min=2,
            words_max=2,
        ),
        _patch,
    ),
    Subcommand(
        Usage(
            "label",
            "<KIND> <NAME> ( <key>=<value> [--overwrite] | <key> --remove ) [--namespace=<NS>]",
            "Set a label of a resource, or remove one.",
            "Labels that a node has from Kubernetes are set again: change those with kubectl.",
            (
                Option("overwrite", "Set it also where it has another value."),
                Option("remove", "Remove the label."),
                NAMESPACE,
            ),
            (("Select a node as a route reflector.", "label node node-1 route-reflector=true"),),
            words_min=3,
            words_max=3,
        ),
        _label,
    ),
)
