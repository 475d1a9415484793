"""The wire protocol between the API server and the cluster's own components: verbs on kinds, in frames.

A request has an id, and so has each answer to it. Most requests get one `Answer`; a list gets its objects in
several and the resource version in the last; a watch gets `Event`s for ever. A `Failure` has the refusal's
Status and ends its request. Objects are JSON inside frames of msgpack: who passes one on need not read it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fabric import frames
from fabric.api.kinds import Kind
from fabric.frames import BadFrame

Resource = tuple[str, str, str]
"""Group, version and plural."""


class Request(msgspec.Struct, array_like=True, frozen=True):
    """A request with its id, which no other request that is under way on the connection has."""

    id: int


class OnKind(Request, frozen=True):
    """A request about objects of one kind, in one namespace or (empty) in all, or of none."""

    resource: Resource
    namespace: str


class Get(OnKind, frozen=True, tag=True):
    name: str


class List(OnKind, frozen=True, tag=True):
    label_selector: str
    field_selector: str


class Create(OnKind, frozen=True, tag=True):
    name: str
    subresource: str
    body: bytes


class Update(OnKind, frozen=True, tag=True):
    name: str
    subresource: str
    body: bytes


class Patch(OnKind, frozen=True, tag=True):
    name: str
    subresource: str
    body: bytes
    patch_type: str
    field_manager: str


class Delete(OnKind, frozen=True, tag=True):
    name: str
    body: bytes
    """DeleteOptions."""


class Watch(OnKind, frozen=True, tag=True):
    resource_version: str
    label_selector: str
    field_selector: str


class Cancel(Request, frozen=True, tag=True):
    """The end of the read or watch of that id; there is no answer."""


Write = Create | Update | Patch | Delete
AnyRequest = Get | List | Create | Update | Patch | Delete | Watch | Cancel


class Answer(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """An answer, or one part of it; the request is done with the `last`."""

    id: int
    body: bytes
    last: bool = True


class Event(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """An event of a watch: its type, and the object."""

    id: int
    event: str
    body: bytes


class Failure(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """A refusal, as a Status."""

    id: int
    body: bytes


Reply = Answer | Event | Failure

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(AnyRequest)
_replies: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Reply)


def resource_of(kind: Kind) -> Resource:
    return kind.group, kind.version, kind.plural


def frame(message: Request | Reply) -> bytes:
    return frames.frame(_encoder.encode(message))


def request_of(body: bytes) -> AnyRequest:
    """Read a request; BadFrame when it is none."""
    try:
        request: AnyRequest = _requests.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"no request: {error}") from error
    return request


def reply_of(body: bytes) -> Reply:
    """Read an answer; BadFrame when it is none."""
    try:
        reply: Reply = _replies.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"no answer: {error}") from error
    return reply
