"""Hints on YAML in which a value, such as a selector, begins with a character of YAML's own."""

from __future__ import annotations

import re

_INDICATED = re.compile(r"(?:[:,\[{?-]|^)\s*([!&*@%`][^\s#,}\]].*?)\s*(?:[,}\]]|\s#|$)")
"""A value that begins with such a character."""


def hint(text: str, line: int) -> str:
    """Say of a value in this line that YAML cannot read, with `; ` before it, how to quote it; or nothing."""
    lines = text.splitlines()
    found = _INDICATED.search(lines[line - 1]) if 0 < line <= len(lines) else None
    return f"; {must_be_quoted(found[1])}" if found else ""


def must_be_quoted(value: str) -> str:
    """The rule for such a value, and the value as it should be written."""
    shown = value.replace("'", "''")
    return f"a value that begins with {value[0]} must be quoted: '{shown}'"


def eaten(text: str, index: int) -> str | None:
    """The value at this place with its `!`, where a space behind that makes YAML take it away; else None."""
    rest = text[index:].partition("\n")[0]
    found = re.match(r"!\s+(.*?)\s*(?:[,}\]]|\s#|$)", rest)
    return f"!{found[1]}" if found else None
