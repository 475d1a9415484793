"""The bodies of requests: read up to a limit, decoded, and of the types that every object has.

What a kind's own fields must look like is the registry's business; here stands what it may rely on:
an object's metadata is an object whose names are text.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from fabric.api.objects import Object
from fabric.apiserver import duplicates, negotiation
from fabric.apiserver.options import WriteOptions
from fabric.errors import BadRequest, Timeout, TooLarge, UnsupportedMediaType

BODY_BYTES_MAX = 3 * 1024 * 1024
BODY_SECONDS_MAX = 60.0
"""As long as kube-apiserver gives a request that is no watch."""

_TEXTS = ("name", "generateName", "namespace", "resourceVersion", "uid", "selfLink")


async def read(request: web.BaseRequest) -> bytes:
    """The whole body; TooLarge beyond the limit, Timeout when it does not come."""
    await _agree(request)
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.read()
    except TimeoutError as error:
        raise Timeout("Timeout: request did not complete within the allotted timeout") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large() from error
    except web.RequestPayloadError as error:
        raise BadRequest(f"the body cannot be read: {error}") from error


async def _agree(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send the body; refuse one that comes compressed."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise UnsupportedMediaType(
            f"a body with the Content-Encoding {encoding!r} is not taken: send it without"
        )
    expected = request.headers.get("Expect", "")
    if expected.lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    elif expected:
        raise BadRequest(f"Expect: {expected!r} cannot be met; only 100-continue can")


async def read_object(request: web.BaseRequest, options: WriteOptions) -> Object:
    """The body as an object, whatever its kind; duplicate keys are told as the options ask."""
    body, form = await read(request), content_type(request)
    obj = object_in(body, form)
    duplicates.tell(body, form, options)
    return obj


async def read_patch(request: web.BaseRequest, patch_type: str, options: WriteOptions) -> Any:
    """The body as a patch; duplicate keys are told as the options ask."""
    body = await read(request)
    patch = negotiation.decode(body, patch_type)
    duplicates.tell(body, patch_type, options)
    return patch


def object_in(body: bytes, content_type: str) -> Object:
    """The object that a body holds; BadRequest when its metadata cannot be any object's."""
    obj = negotiation.decode_object(body, content_type)
    _check_metadata(obj)
    return obj


def check_size(body: bytes) -> None:
    """TooLarge beyond the limit."""
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()


async def read_optional(request: web.BaseRequest) -> Object:
    """The body as an object, empty when there is none."""
    body = await read(request) if request.can_read_body else b""
    return negotiation.decode_object(body, content_type(request)) if body.strip() else {}


def content_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "")


def _check_metadata(obj: Object) -> None:
    meta: Any = obj.get("metadata")
    if meta is None:
        return
    if not isinstance(meta, dict):
        raise BadRequest("metadata: must be an object")
    for field in _TEXTS:
        if not isinstance(meta.get(field, ""), str | None):
            raise BadRequest(f"metadata.{field}: {meta[field]!r} is not a string")


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes, the most that is taken")
