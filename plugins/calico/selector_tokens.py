"""The words of Calico's selectors: what may follow what, and at which column a text goes wrong.

A word right after a label is an operator, whatever else it could be: `in in {"a"}` tests the label `in`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from fabric.errors import FabricError


class BadSelector(FabricError):
    """The text is no selector; the message says what was expected and where."""


class Token(NamedTuple):
    kind: str
    """The operator or bracket itself, or `label`, `string`, `has`, `all`, `global`, `end`."""
    value: str
    column: int


_NAME = r"[a-zA-Z0-9_./-]{1,512}"
_PUNCTUATION = re.compile(r"==|!=|&&|\|\||[(){},!]")
_STRING = re.compile(r'"([^"]*)"|\'([^\']*)\'')
_OPERATOR = re.compile(r"contains|starts[ \t]*with|ends[ \t]*with|not[ \t]*in|in")
_CALL = re.compile(rf"has\([ \t]*({_NAME})[ \t]*\)|(all|global)\([ \t]*\)")
_LABEL = re.compile(_NAME)
_BLANK = re.compile(r"[ \t]*")
_SPELLED = {"starts": "starts with", "ends": "ends with", "not": "not in", "in": "in", "contains": "contains"}


def tokens(text: str) -> Iterator[Token]:
    """All words with their columns, closed by one `end`; BadSelector at the first that is none."""
    after_label = False
    at = _skip(text, 0)
    while at < len(text):
        kind, value, end = _token(text, at, after_label)
        yield Token(kind, value, at + 1)
        after_label = kind == "label"
        at = _skip(text, end)
    yield Token("end", "", len(text) + 1)


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _token(text: str, at: int, after_label: bool) -> tuple[str, str, int]:
    """Kind, value and end of the word at `at`."""
    if found := _PUNCTUATION.match(text, at):
        return found[0], "", found.end()
    if found := _STRING.match(text, at):
        return "string", found[1] if found[1] is not None else found[2], found.end()
    if after_label and (found := _OPERATOR.match(text, at)):
        word = next(word for word in ("starts", "ends", "not", "in", "contains") if found[0].startswith(word))
        return _SPELLED[word], "", found.end()
    if not after_label and (found := _CALL.match(text, at)):
        return ("has", found[1], found.end()) if found[1] else (found[2], "", found.end())
    if not after_label and (found := _LABEL.match(text, at)):
        return "label", found[0], found.end()
    raise bad(text, at + 1, _complaint(text[at:], after_label))


def _complaint(rest: str, after_label: bool) -> str:
    if rest[0] in "\"'":
        return "unterminated string"
    if rest[0] in "=&|":
        return f"expected {rest[0] * 2}"
    return "unexpected characters" + " after a label, was expecting an operator" * after_label


def bad(text: str, column: int, what: str) -> BadSelector:
    """The error that points at a column (from 1) of the text."""
    return BadSelector(f"{what} at column {column} of selector {text!r}")
