"""The three patch types, each a pure function from the object and the patch to the new object."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import orjson

from fabric.api.kinds import Kind
from fabric.api.mergepatch import merge_patched
from fabric.api.objects import Object
from fabric.apiserver import negotiation, schema, strategic
from fabric.apiserver.refusals import details_of
from fabric.errors import BadRequest, Invalid, TooLarge, UnsupportedMediaType

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
OPERATIONS_MAX = 10_000
"""As kube-apiserver's limit on operations in one JSON patch."""
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""As kube-apiserver's limit on what the operations of one JSON patch may copy."""


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
        result = _applied(copy.deepcopy(obj), jsonpatch.JsonPatch(patch).patch)
    except (jsonpatch.InvalidJsonPatch, *_LIBRARY_ERRORS) as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise Invalid(message, details=details_of(kind, name)) from error
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        raise BadRequest("a JSON patch must leave an object with metadata")
    negotiation.check_depth(result)
    return result


_LIBRARY_ERRORS = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What `jsonpatch` raises for paths and values that it did not think of, such as an index of 5,000 digits."""


def _applied(document: Any, operations: list[Object]) -> Any:
    """The document after all operations; copies have a limit, as a few of a whole into itself fill memory."""
    copied = 0
    for operation in operations:
        if operation["op"] == "copy":
            source = jsonpatch.JsonPointer(operation["from"]).resolve(document)
            copied += len(orjson.dumps(source))
            if copied > COPIED_BYTES_MAX:
                raise TooLarge(
                    f"Unable to complete the copy, the accumulated size increase of copy is {copied}, "
                    f"exceeding the limit {COPIED_BYTES_MAX}"
                )
        document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    return document
