"""Protocol Buffers' wire format, writing only: messages are bytes, put together from their fields.

Fields of a value that is empty (proto3's default) are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_VARINT, _FIXED64, _LENGTH = 0, 1, 2


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
