"""Protocol Buffers' wire format: messages are bytes, put together from their fields and taken apart again.

What writes a field leaves out an empty value, which is proto3's default; `fields` reads whatever is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(field: int, content: bytes) -> bytes:
    """An embedded message, also when it is empty: its presence says something."""
    return varint(field << 3 | _LENGTH) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    """A string, or nothing when it is empty."""
    return message(field, value.encode()) if value else b""


def texts(field: int, values: Iterable[str]) -> bytes:
    """A repeated string; empty ones count."""
    return b"".join(message(field, value.encode()) for value in values)


def flag(field: int, value: bool) -> bytes:
    """A bool, or nothing when it is false."""
    return varint(field << 3 | _VARINT) + b"\x01" if value else b""


def integer(field: int, value: int) -> bytes:
    """An int32 or int64, or nothing when it is 0."""
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def double(field: int, value: float) -> bytes:
    """A double, or nothing when it is 0."""
    return varint(field << 3 | _FIXED64) + struct.pack("<d", value) if value else b""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field's number and value: an int for varints and fixed numbers, else bytes.

    ValueError for what is no message.
    """
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        wire, number = tag & 7, tag >> 3
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if wire == _LENGTH:
            size, at = _read_varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"field {number} has the wire type {wire}")
        if size > len(data) - at:
            raise ValueError(f"field {number} ends behind its message")
        content = data[at : at + size]
        at += size
        yield number, content if wire == _LENGTH else int.from_bytes(content, "little")


def varints(data: bytes) -> Iterator[int]:
    """The numbers of a packed field."""
    at = 0
    while at < len(data):
        number, at = _read_varint(data, at)
        yield number


def signed(number: int) -> int:
    """A varint as int32 or int64 has it: negative numbers are sent as 64 bits."""
    return number - (1 << 64) if number >> 63 else number


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for i, byte in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return number & ((1 << 64) - 1), at + i + 1
    raise ValueError("a number does not end")
