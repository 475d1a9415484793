"""Objects in Kubernetes' protobuf: what kubectl since 1.32, helm and client-go's typed clients send.

An object's message is that of its Go struct, in an envelope: four bytes of magic, then runtime.Unknown with
apiVersion, kind and the message. JSON is made as Go would: what its encoder omits when empty is left out.
"""

from __future__ import annotations

import base64
import struct as struct_format
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object, micro_timestamp, parse_timestamp, timestamp
from fabric.apiserver import protobuf
from fabric.apiserver.go_types import Field, struct_name, structs
from fabric.apiserver.protobuf import integer, message, text
from fabric.errors import BadRequest, UnsupportedMediaType

MAGIC = b"k8s\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GO_ZERO_SECONDS = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_LIST_META = "meta/v1.ListMeta"


def is_known(kind: Kind) -> bool:
    """Whether objects of the kind can be written as protobuf."""
    return struct_name(kind.api_version, kind.kind) is not None


def decode(body: bytes) -> Object:
    """The object in the envelope; UnsupportedMediaType for a kind that is not in the table."""
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not protobuf of Kubernetes: it does not begin with k8s and a zero byte")
    try:
        envelope = dict(protobuf.fields(body[len(MAGIC) :]))
        type_meta = dict(protobuf.fields(_bytes(envelope.get(1, b""))))
        api_version, kind = (_bytes(type_meta.get(i, b"")).decode() for i in (1, 2))
        name = struct_name(api_version, kind)
        if name is None:
            raise UnsupportedMediaType(
                f"{api_version} {kind} is not taken as protobuf: send it as application/json"
            )
        content = _decoded(name, _bytes(envelope.get(2, b"")))
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"the body is not protobuf of Kubernetes: {error}") from error
    return {"kind": kind, "apiVersion": api_version, **content}


def encode(obj: Object) -> bytes:
    """The object, a list of objects or a Status in its envelope."""
    api_version, kind = obj["apiVersion"], obj["kind"]
    name = struct_name(api_version, kind)
    content = _encoded(name, obj) if name is not None else _encoded_list(obj)
    type_meta = text(1, api_version) + text(2, kind)
    return MAGIC + message(1, type_meta) + message(2, content) + text(3, "") + text(4, "")


def watch_frame(type_: str, obj: Object) -> bytes:
    """An event of a watch: a length of four bytes, and a WatchEvent with the object's envelope in it."""
    event = text(1, type_) + message(2, message(1, encode(obj)))
    return len(event).to_bytes(4, "big") + event


def _encoded_list(obj: Object) -> bytes:
    item = struct_name(obj["apiVersion"], obj["kind"].removesuffix("List"))
    if item is None:
        raise ValueError(f"{obj['apiVersion']} {obj['kind']} has no protobuf message")
    items = (message(2, _encoded(item, entry)) for entry in obj["items"])
    return message(1, _encoded(_LIST_META, obj["metadata"])) + b"".join(items)


def _encoded(name: str, obj: Mapping[str, Any]) -> bytes:
    return b"".join(_encoded_field(field, obj) for field in structs()[name])


def _encoded_field(field: Field, obj: Mapping[str, Any]) -> bytes:
    if field.is_inline:
        return message(field.number, _encoded(field.type, obj))
    value = obj.get(field.name)
    if value is None:
        return b""
    if field.shape == "[]":
        return b"".join(_encoded_value(field.number, field.type, item) for item in value)
    if field.shape == "map":
        entries = (message(1, k.encode()) + _encoded_value(2, field.type, v) for k, v in value.items())
        return b"".join(message(field.number, entry) for entry in entries)
    return _encoded_value(field.number, field.type, value)


def _encoded_value(number: int, type_: str, value: Any) -> bytes:
    """A value that is there is written, empty or not."""
    match type_:
        case "bool" | "int32" | "int64" | "int":
            return protobuf.varint(number << 3) + protobuf.varint(int(value))
        case "float64":
            return protobuf.varint(number << 3 | 1) + struct_format.pack("<d", value)
        case "string":
            return message(number, str(value).encode())
        case "[]byte":
            return message(number, base64.b64decode(value))
        case "Time" | "MicroTime":
            return message(number, _encoded_time(type_, value))
        case "Quantity":
            return message(number, text(1, str(value)))
        case "IntOrString":
            return message(
                number, text(3, value) + integer(1, 1) if isinstance(value, str) else integer(2, value)
            )
        case "Json":
            return message(number, message(1, orjson.dumps(value)))
        case _:
            return message(number, _encoded(type_, value))


def _encoded_time(type_: str, value: str) -> bytes:
    since = parse_timestamp(value) - _EPOCH
    nanos = since.microseconds * 1000 if type_ == "MicroTime" else 0
    return integer(1, since.days * 86400 + since.seconds) + integer(2, nanos)


@cache
def _by_number(name: str) -> Mapping[int, Field]:
    return {field.number: field for field in structs()[name]}


def _decoded(name: str, data: bytes) -> Object:
    obj: Object = {}
    known = _by_number(name)
    for number, raw in protobuf.fields(data):
        field = known.get(number)
        if field is not None:
            _set_field(obj, field, raw)
    return obj


def _set_field(obj: Object, field: Field, raw: int | bytes) -> None:
    if field.is_inline:
        obj.update(_decoded(field.type, _bytes(raw)))
    elif field.shape == "map":
        entry = dict(protobuf.fields(_bytes(raw)))
        key = _bytes(entry.get(1, b"")).decode()
        obj.setdefault(field.name, {})[key] = _value(field.type, entry.get(2, _zero_value(field.type)))
    elif field.shape == "[]":
        numbers = protobuf.varints(raw) if field.type in _NUMBERS and isinstance(raw, bytes) else [raw]
        obj.setdefault(field.name, []).extend(_value(field.type, number) for number in numbers)
    else:
        value = _value(field.type, raw)
        is_omitted = field.shape != "*" and field.omits_empty and field.is_scalar and not value
        if value is not None and not is_omitted:
            obj[field.name] = value


_NUMBERS = frozenset(("int32", "int64", "int", "bool"))


def _zero_value(type_: str) -> int | bytes:
    return 0 if type_ in _NUMBERS else b""


def _value(type_: str, raw: int | bytes) -> Any:
    read = _READERS.get(type_)
    return read(raw) if read is not None else _decoded(type_, _bytes(raw))


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ValueError("a number stands where a message is")
    return raw


def _number(raw: int | bytes) -> int:
    if isinstance(raw, bytes):
        raise ValueError("a message stands where a number is")
    return raw


def _int32(raw: int | bytes) -> int:
    """The lower 32 bits, as Go takes them."""
    return (_number(raw) + (1 << 31)) % (1 << 32) - (1 << 31)


def _time(raw: int | bytes) -> str | None:
    moment = _moment(raw)
    return None if moment is None else timestamp(moment)


def _micro_time(raw: int | bytes) -> str | None:
    moment = _moment(raw)
    return None if moment is None else micro_timestamp(moment)


def _moment(raw: int | bytes) -> datetime | None:
    """The moment of a Time; None for an empty one and for Go's zero Time, which are null in JSON."""
    fields = dict(protobuf.fields(_bytes(raw)))
    seconds, nanos = (protobuf.signed(_number(fields.get(i, 0))) for i in (1, 2))
    if not fields or (seconds, nanos) == (_GO_ZERO_SECONDS, 0):
        return None
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def _int_or_string(raw: int | bytes) -> int | str:
    fields = dict(protobuf.fields(_bytes(raw)))
    return _bytes(fields.get(3, b"")).decode() if fields.get(1) == 1 else _int32(fields.get(2, 0))


def _first(raw: int | bytes) -> bytes:
    return _bytes(dict(protobuf.fields(_bytes(raw))).get(1, b""))


_READERS: Mapping[str, Callable[[int | bytes], Any]] = {
    "string": lambda raw: _bytes(raw).decode(),
    "bool": lambda raw: bool(_number(raw)),
    "int32": _int32,
    "int64": lambda raw: protobuf.signed(_number(raw)),
    "int": lambda raw: protobuf.signed(_number(raw)),
    "float64": lambda raw: struct_format.unpack("<d", _number(raw).to_bytes(8, "little"))[0],
    "[]byte": lambda raw: base64.b64encode(_bytes(raw)).decode(),
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": lambda raw: _first(raw).decode(),
    "IntOrString": _int_or_string,
    "Json": lambda raw: orjson.loads(_first(raw)),
}
