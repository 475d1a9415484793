"""The three patch types, each a pure function from the object and the patch to the new object."""

from __future__ import annotations

from typing import Any

import jsonpatch

from fabric.api.kinds import Kind
from fabric.api.mergepatch import merge_patched
from fabric.api.objects import Object
from fabric.apiserver import schema, strategic
from fabric.apiserver.refusals import details_of
from fabric.errors import BadRequest, Invalid, UnsupportedMediaType

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
OPERATIONS_MAX = 10_000
"""As kube-apiserver's limit on operations in one JSON patch."""


def check_type(patch_type: str) -> None:
    """UnsupportedMediaType for all but the three types, whether the object is there or not."""
    if patch_type not in (JSON_PATCH, MERGE, STRATEGIC):
        accepted = ", ".join((JSON_PATCH, MERGE, STRATEGIC))
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
            + " (server-side apply is not served)" * (patch_type == APPLY)
        )


def patched(kind: Kind, obj: Object, patch: Any, patch_type: str) -> Object:
    """Return the object with the patch applied; shares what the patch leaves alone."""
    try:
        return _patched(kind, obj, patch, patch_type)
    except RecursionError:
        raise BadRequest("the patch is nested too deeply") from None


def _patched(kind: Kind, obj: Object, patch: Any, patch_type: str) -> Object:
    check_type(patch_type)
    if patch_type == JSON_PATCH:
        return _json_patched(kind, obj, patch)
    if not isinstance(patch, dict):
        raise BadRequest(f"a patch of type {patch_type} must be a JSON object, not {type(patch).__name__}")
    at = schema.shape(kind)
    if patch_type == MERGE:
        result: Object = merge_patched(obj, patch)
        return result
    if at is None:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            f"{JSON_PATCH}, {MERGE} ({kind} has no merge keys)"
        )
    return strategic.merged(at, obj, patch)


def _json_patched(kind: Kind, obj: Object, patch: Any) -> Object:
    if not isinstance(patch, list):
        raise BadRequest(f"a JSON patch must be a list of operations, not {type(patch).__name__}")
    if len(patch) > OPERATIONS_MAX:
        raise BadRequest(f"a JSON patch may have {OPERATIONS_MAX} operations at most, not {len(patch)}")
    name = str(obj["metadata"].get("name", ""))
    try:
        result = jsonpatch.JsonPatch(patch).apply(obj)
    except jsonpatch.InvalidJsonPatch as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise Invalid(message, details=details_of(kind, name)) from error
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        raise BadRequest("a JSON patch must leave an object with metadata")
    return result
