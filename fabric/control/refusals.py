"""The API server's Status as the `ApiError` that it names: by its reason, else by its code."""

from __future__ import annotations

from typing import Any

import orjson

from fabric import errors
from fabric.api.objects import Object

_CLASSES: tuple[type[errors.ApiError], ...] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.MethodNotAllowed,
    errors.NotAcceptable,
    errors.Conflict,
    errors.AlreadyExists,
    errors.Gone,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.Invalid,
    errors.TooManyRequests,
    errors.ServerUnavailable,
)
_BY_REASON = {cls.reason: cls for cls in _CLASSES} | {
    "Gone": errors.Gone,
    "Timeout": errors.ServerUnavailable,
    "ServerTimeout": errors.ServerUnavailable,
}
_BY_CODE = {cls.code: cls for cls in reversed(_CLASSES)} | {
    502: errors.ServerUnavailable,
    504: errors.ServerUnavailable,
}


def refusal(status: Object) -> errors.ApiError:
    """The error that a Status object stands for."""
    cls = _BY_REASON.get(str(status.get("reason"))) or _BY_CODE.get(status.get("code") or 0, errors.ApiError)
    return cls(str(status.get("message") or cls.reason), details=status.get("details"))


def refusal_of_answer(code: int, body: bytes) -> errors.ApiError:
    """The error of an HTTP answer with that code, whatever its body is."""
    try:
        status: Any = orjson.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {"message": body[:1000].decode(errors="replace")}
    return refusal({"code": code} | status)
