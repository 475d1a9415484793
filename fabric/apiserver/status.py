"""Every refusal is a Kubernetes Status, and so is the answer to a finished deletion."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver.refusals import cut
from fabric.errors import (
    ApiError,
    BadInput,
    BadRequest,
    Compacted,
    FabricError,
    Gone,
    OutOfResources,
    ServerUnavailable,
    refusal_in,
)

_log = logging.getLogger(__name__)


def failure(error: ApiError) -> Object:
    """The Status that the client reads; its `code` is also the HTTP code.

    `details` and `metadata` are there when they are empty, too: kubectl 1.32 and 1.36 panic without them.
    """
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": cut(error.message),
        "reason": error.reason,
        "details": error.details,
        "code": error.code,
    }


def deleted(kind: Kind, name: str, uid: str) -> Object:
    """The Status of an object that is gone; clients wait for the `uid` in it to vanish."""
    details = {"name": name, "kind": kind.plural, "uid": uid}
    if kind.group:
        details["group"] = kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def api_error(error: FabricError) -> ApiError:
    """The refusal as the API words it, whichever floor said no."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Compacted):
        return Gone(str(error) or "the resource version is too old: list again")
    if isinstance(error, BadInput):
        return BadRequest(str(error))
    if isinstance(error, OutOfResources):
        return ApiError(f"Internal error occurred: {error}")
    return ServerUnavailable(str(error))


def unexpected(what: str, bug: Exception) -> ApiError:
    """The 500 for an exception that is a fault of ours, whose traceback goes to the log, or the machine's."""
    if (refusal := refusal_in(bug)) is not None:
        return api_error(refusal)
    _log.error("%s: %s: %s", what, type(bug).__name__, bug, exc_info=bug)
    return ApiError(f"Internal error occurred: {what}: {type(bug).__name__}: {bug}")


async def outcome_of(what: str, write: Awaitable[Any]) -> Any:
    """The result of a write, or its error as a value, as perhaps nobody waits for it any more."""
    try:
        return await write
    except FabricError as error:
        return error
    except Exception as bug:
        return unexpected(what, bug)
