"""Content negotiation: the media type of an answer, and the decoding of a body by its own.

`Accept` lists media types, best first; parameters `as`, `g` and `v` ask for a transformed object
(`as=Table;g=meta.k8s.io;v=v1`). The server offers JSON of all forms, YAML of plain objects, and protobuf of
those that Kubernetes has a message for: there is none for a Table, nor for a kind of a plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from fabric.api.kinds import Kind
from fabric.apiserver import protobuf_codec, yaml_codec
from fabric.errors import BadRequest, NotAcceptable, UnsupportedMediaType

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"

DEPTH_MAX = 100
"""How deep a body may be nested. Nothing of Kubernetes is half as deep; encoders end at 254."""

YAML_TYPES = (YAML, "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
ACCEPT_CHARACTERS_MAX = 8192
_WILDCARDS = ("*/*", "application/*")


@dataclass(frozen=True, slots=True)
class MediaType:
    """An entry of `Accept`: a media type, and the kind that the object is to be transformed to."""

    name: str
    as_: str = ""
    group: str = ""
    version: str = ""

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def header(self) -> str:
        """The value of `Content-Type`."""
        shape = (("g", self.group), ("v", self.version), ("as", self.as_))
        return ";".join([self.name, *(f"{key}={value}" for key, value in shape if value)])


PLAIN = MediaType(JSON)
TABLES = tuple(MediaType(JSON, "Table", "meta.k8s.io", version) for version in ("v1", "v1beta1"))
METADATA = tuple(
    MediaType(JSON, form, "meta.k8s.io", version)
    for form in ("PartialObjectMetadata", "PartialObjectMetadataList")
    for version in ("v1", "v1beta1")
)
WATCH_OFFERS = (PLAIN, *TABLES, *METADATA)
OBJECT_OFFERS = (*WATCH_OFFERS, MediaType(YAML))
PROTOBUF_OFFERS = (
    MediaType(PROTOBUF),
    *(replace(media, name=PROTOBUF) for media in METADATA if media.version == "v1"),
)
STATUS_OFFERS = (PLAIN, MediaType(YAML), MediaType(PROTOBUF))


def offers_of(kind: Kind, *, watch: bool = False) -> Sequence[MediaType]:
    """The media types of an object, a list or a watch of the kind; the first is the default."""
    offers = WATCH_OFFERS if watch else OBJECT_OFFERS
    return (*offers, *PROTOBUF_OFFERS) if protobuf_codec.is_known(kind) else offers


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[MediaType, ...]:
    """The entries in the client's order; quality factors are not weighed."""
    entries = (entry.strip() for entry in header.split(","))
    return tuple(_parse_entry(entry) for entry in entries if entry) or (PLAIN,)


def _parse_entry(entry: str) -> MediaType:
    name, *params = (part.strip() for part in entry.split(";"))
    found = dict(param.split("=", 1) for param in params if "=" in param)
    return MediaType(name.lower(), found.get("as", ""), found.get("g", ""), found.get("v", ""))


def choose(header: str, offers: Sequence[MediaType] = OBJECT_OFFERS) -> MediaType:
    """The client's first choice that is on offer; NotAcceptable when there is none."""
    if len(header) > ACCEPT_CHARACTERS_MAX:
        raise NotAcceptable(f"Accept has {len(header)} characters; at most {ACCEPT_CHARACTERS_MAX} are read")
    for wanted in parse_accept(header):
        if wanted in offers:
            return wanted
        if wanted.name in _WILDCARDS and not wanted.as_:
            return offers[0]
    names = ", ".join(sorted({offer.name for offer in offers}))
    raise NotAcceptable(f"only the following media types are accepted: {names}")


def encode(obj: Any, media: MediaType = PLAIN, *, pretty: bool = False) -> bytes:
    """The object's bytes in the chosen media type."""
    if media.name == YAML:
        return yaml_codec.encode(obj)
    if media.name == PROTOBUF:
        return protobuf_codec.encode(obj)
    if pretty:
        return orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return orjson.dumps(obj)


def media_name(content_type: str) -> str:
    """The media type of a `Content-Type`, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str) -> Any:
    """The body as JSON data; no content type means JSON.

    BadRequest when it cannot be read, UnsupportedMediaType for what is none of the server's formats.
    """
    name = media_name(content_type)
    if name in YAML_TYPES:
        return yaml_codec.decode(body, DEPTH_MAX)
    if not name or name == JSON or name.endswith("+json"):
        return _decode_json(body)
    if name == PROTOBUF:
        decoded = protobuf_codec.decode(body)
        check_depth(decoded)
        return decoded
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        f"{JSON}, {YAML}, {PROTOBUF}"
    )


def decode_object(body: bytes, content_type: str) -> dict[str, Any]:
    """The body as one JSON object."""
    obj = decode(body, content_type)
    if not isinstance(obj, dict):
        raise BadRequest(f"the body must be an object, not {type(obj).__name__}")
    return obj


def _decode_json(body: bytes) -> Any:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        check_depth(decoded)
    return decoded


def check_depth(value: Any) -> None:
    """BadRequest when objects and lists are nested deeper than DEPTH_MAX."""
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        level = [child for node in level if isinstance(node, dict | list) for child in _children(node)]
        if not level:
            return
    raise BadRequest(f"the body is nested more than {DEPTH_MAX} deep")


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node
