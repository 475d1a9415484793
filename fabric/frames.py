"""Frames cut a stream of bytes into messages: four bytes of length, then that many bytes.

The sockets of the store and of the API server for components use them. Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Iterator

FRAME_BYTES_MAX = 64 << 20
HEADER_BYTES = 4


class BadFrame(Exception):
    """The peer does not speak this protocol: the connection ends."""


def frame(body: bytes) -> bytes:
    """Return the body behind its length."""
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Frames:
    """The frames of a stream, cut out of its bytes without I/O."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now. BadFrame when one is too large."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            size = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if size > FRAME_BYTES_MAX:
                raise BadFrame(f"a frame of {size} bytes (at most {FRAME_BYTES_MAX})")
            end = HEADER_BYTES + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield body
