"""The wire protocol of the store: length-prefixed msgpack frames, many requests at once.

A request has an id; every answer carries it. Most requests get one answer. A range may come in
several parts, a watch in parts without end; `last` closes the request, and so does a `Failure`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fabric import frames
from fabric.errors import Compacted, FabricError, OutOfResources, StoreUnavailable
from fabric.frames import BadFrame
from fabric.store.port import LeaseNotFound


class Request(msgspec.Struct, array_like=True, frozen=True):
    id: int


class Get(Request, frozen=True, tag=True):
    key: str


class Range(Request, frozen=True, tag=True):
    prefix: str
    start_after: str
    limit: int
    revision: int


class Txn(Request, frozen=True, tag=True):
    compares: tuple[tuple[str, int, bool], ...]
    """Key and mod revision; with True, a prefix below which nothing is newer than the revision."""
    ops: tuple[tuple[str, bytes | None, int], ...]
    """Key, value (None deletes), lease."""


class Watch(Request, frozen=True, tag=True):
    prefix: str
    from_revision: int


class Cancel(Request, frozen=True, tag=True):
    """End the watch of that id; there is no answer."""


class Grant(Request, frozen=True, tag=True):
    ttl_seconds: int


class KeepAlive(Request, frozen=True, tag=True):
    lease: int


class Revoke(Request, frozen=True, tag=True):
    lease: int


class TimeToLive(Request, frozen=True, tag=True):
    lease: int


class Revision(Request, frozen=True, tag=True):
    pass


class Compact(Request, frozen=True, tag=True):
    revision: int


AnyRequest = Get | Range | Txn | Watch | Cancel | Grant | KeepAlive | Revoke | TimeToLive | Revision | Compact


class Answer(msgspec.Struct, array_like=True, frozen=True, tag=True):
    id: int
    body: msgspec.Raw
    last: bool


class Failure(msgspec.Struct, array_like=True, frozen=True, tag=True):
    id: int
    error: str
    message: str


Reply = Answer | Failure

ERRORS: dict[str, type[Exception]] = {
    error.__name__: error
    for error in (Compacted, FabricError, LeaseNotFound, OutOfResources, StoreUnavailable, ValueError)
}

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(AnyRequest)
_replies: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Answer | Failure)


def answer(id_: int, body: object, *, last: bool = True) -> Answer:
    return Answer(id_, msgspec.Raw(_encoder.encode(body)), last)


def failure(id_: int, error: Exception) -> Failure:
    return Failure(id_, type(error).__name__, str(error))


def error_of(failed: Failure) -> Exception:
    return ERRORS.get(failed.error, FabricError)(failed.message)


def frame(message: Request | Answer | Failure) -> bytes:
    return frames.frame(_encoder.encode(message))


def request_of(body: bytes) -> AnyRequest:
    try:
        request: AnyRequest = _requests.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"no request: {error}") from error
    return request


def reply_of(body: bytes) -> Answer | Failure:
    try:
        reply: Answer | Failure = _replies.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"no answer: {error}") from error
    return reply
