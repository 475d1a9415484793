"""Every refusal is a Kubernetes Status, and so is the answer to a finished deletion."""

from __future__ import annotations

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.errors import ApiError, BadInput, BadRequest, Compacted, FabricError, Gone, ServerUnavailable


def failure(error: ApiError) -> Object:
    """The Status that the client reads; its `code` is also the HTTP code."""
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    if error.details:
        status["details"] = error.details
    return status


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
    return ServerUnavailable(str(error))
