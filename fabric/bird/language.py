"""The words that bird.conf is made of: names, strings, blocks, and what a channel lets through.

BIRD's strings know no escape, so that a text with a double quote or a line break cannot be written at all; it
is refused here, before a daemon is told of it. Filters and functions are BIRD's own language, and stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import indent

from fabric.errors import FabricError

NAME_LENGTH_MAX = 64
STRING_LENGTH_MAX = 255

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


class Unwritable(FabricError):
    """A text that bird.conf has no way to say."""


def name(text: str) -> str:
    """`text` as the name of a protocol, filter or function; Unwritable if it cannot be one.

    What holds more than letters, digits and _ stands in single quotes: `'bgp_my-filter'`.
    """
    if len(text) <= NAME_LENGTH_MAX:
        if _NAME.fullmatch(text):
            return text
        if _QUOTED_NAME.fullmatch(text):
            return f"'{text}'"
    raise Unwritable(
        f"{text!r} cannot be a name in bird.conf: letters, digits and _.:- , at most {NAME_LENGTH_MAX}"
    )


def string(text: str, what: str = "text") -> str:
    """`text` in BIRD's double quotes; else Unwritable, which says `what` it is and keeps it secret."""
    if len(text.encode()) > STRING_LENGTH_MAX or any(mark in text for mark in '"\n\r\0'):
        raise Unwritable(
            f"a {what} in bird.conf has no double quote and no line break, "
            f"and at most {STRING_LENGTH_MAX} bytes"
        )
    return f'"{text}"'


def block(head: str, lines: Iterable[str], foot: str = "}") -> str:
    """`head {`, the lines indented, and the foot; a block of nothing is one line."""
    inner = "\n".join(lines)
    return f"{head} {{\n{indent(inner, '    ')}\n{foot}" if inner else f"{head} {{ {foot}"


@dataclass(frozen=True, slots=True)
class Text:
    """Anything in BIRD's own words: `define`, a comment, what has no class here."""

    text: str

    def __str__(self) -> str:
        return self.text.strip("\n")


@dataclass(frozen=True, slots=True)
class Filter:
    """A named filter; its body says `accept;` or `reject;` on every path."""

    name: str
    body: str
    devices: tuple[str, ...] = ()
    """Through which its body sends routes: they must be there when it runs (`onlink_through`)."""

    def __str__(self) -> str:
        return block(f"filter {name(self.name)}", (self.body.strip(),))


@dataclass(frozen=True, slots=True)
class Function:
    """A named function: `parameters` as BIRD has them (`bool internal; int n`)."""

    name: str
    parameters: str
    body: str

    def __str__(self) -> str:
        return block(f"function {name(self.name)}({self.parameters})", (self.body.strip(),))


ALL, NONE = "all", "none"


def by_filter(filter_name: str) -> str:
    """Let through what a named filter accepts."""
    return f"filter {name(filter_name)}"


def where(condition: str) -> str:
    """Let through what a condition holds for: `source = RTS_STATIC`."""
    return f"where {condition}"


def statements(body: str) -> str:
    """Let through what these statements accept: a filter without a name."""
    return block("filter", (body.strip(),))


def onlink_through(device: str) -> str:
    """Statements of a kernel export filter: this BGP route goes through `device` to its BGP next hop.

    The order is BIRD's law: setting `ifname` forgets the gateway, and `gw` takes the interface of a neighbour
    unless it is onlink, so that any other order gives a route on another device, or none at all. The
    device must be there when the filter runs; where it came later, `reload out` of the kernel protocol
    makes good what was refused.
    """
    return f"ifname = {string(device, 'device name')};\nonlink = true;\ngw = bgp_next_hop;"
