"""Protocol Buffers read back: the fields of one message, by number."""

from __future__ import annotations


def fields(message: bytes) -> dict[int, list]:
    """Each field's values in order: bytes for text and messages, numbers for varints, 8 bytes for doubles."""
    found: dict[int, list] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(message, at)
        elif tag & 7 == 1:
            value, at = message[at : at + 8], at + 8
        else:
            assert tag & 7 == 2, f"wire type {tag & 7} at {at}"
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
