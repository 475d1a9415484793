"""The wire protocol between the runtime and its clients: frames of JSON behind four bytes of length.

A request has `id` and `op`; its answer has the same `id` and `ok`, or `error` with a message and
perhaps `code`. A message without an `id` is an event: `event` (a sandbox id, or a node) or `exit` (an exec's
code).
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

FRAME_BYTES_MAX = 16 << 20
"""Room for the statuses of 20,000 containers in one answer."""
_NODE = "node/"


def node_event(name: str) -> str:
    """Return the event of a node's init that was started or has ended: no sandbox has such an id."""
    return _NODE + name


def concerns_nodes(event: str) -> bool:
    """True for an event after which the nodes are to be looked at again."""
    return not event or event.startswith(_NODE)


def pack(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {len(body)} bytes; at most {FRAME_BYTES_MAX} are allowed")
    return len(body).to_bytes(4, "big") + body


def holds_nul(value: Any) -> bool:
    """True when a string somewhere in it holds a NUL byte: no system call takes one."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))


class Frames:
    """The messages of a stream, cut out of its bytes; ValueError when they are none."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete with `data`."""
        self._held += data
        messages = []
        while len(self._held) >= 4:
            size = int.from_bytes(self._held[:4], "big")
            if size > FRAME_BYTES_MAX:
                raise ValueError(f"a frame of {size} bytes; at most {FRAME_BYTES_MAX} are allowed")
            if len(self._held) < 4 + size:
                break
            messages.append(_message(self._held[4 : 4 + size]))
            del self._held[: 4 + size]
        return messages


def _message(body: bytearray) -> Message:
    try:
        message = json.loads(body)
    except RecursionError:
        raise ValueError("a message that is nested without end") from None
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message
