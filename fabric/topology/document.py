"""YAML read with its line numbers: a value and, for every path in it, the line where it stands.

Refused with file and line: broken syntax, duplicate keys, keys that are not text, aliases that contain
themselves or unfold to more than a file of that size can need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from fabric.api.yaml_quotes import eaten, hint, must_be_quoted
from fabric.errors import BadInput, Problem

Path = tuple[str | int, ...]
REPEATED_MAX = 50_000
"""Values that may be reached more than once, by aliases."""
DEPTH_MAX = 64
NUMBER_MIN, NUMBER_MAX = -(2**63), 2**64 - 1
"""Whole numbers that a field of a Kubernetes object can hold. JSON, and so kubectl, writes 1.0 as 1."""
SHOWN_CHARACTERS_MAX, PATH_CHARACTERS_MAX = 60, 256
BYTES_MAX = 64 * 1024 * 1024
_STANDARD = "tag:yaml.org,2002:"
_MERGE = f"{_STANDARD}merge"


@dataclass(frozen=True)
class Document:
    """A YAML document with the line of each of its values."""

    value: Any
    lines: dict[Path, int]
    """Line of every value by its path; the path of a mapping's value gives the line of its key."""

    def line(self, at: Path) -> int:
        """Return the line of the value at that path, or of the nearest one above it that is there."""
        return next(self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines)


def read_text(path: FilePath) -> str:
    """Return the text of a file; BadInput when it cannot be read, is no text, or is larger than 64 MiB."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)  # a device such as /dev/zero has no size, and no end
    except OSError as error:
        raise BadInput(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    except ValueError as error:  # a NUL, or what is no text, in the path
        raise BadInput(Problem(repr(str(path)), f"is no path: {error}")) from None
    if len(data) > BYTES_MAX:
        raise BadInput(Problem(f"{path}:1", f"larger than {BYTES_MAX >> 20} MiB: not a file for fabric"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadInput(Problem(f"{path}:{line}", "not text in UTF-8")) from None


def documents(text: str, file: str) -> list[Document]:
    """Return the documents of a YAML text; BadInput names every line that cannot be read."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = " ".join(filter(None, (error.context, error.problem))) + hint(text, line)
        raise BadInput(Problem(f"{file}:{line}", f"not valid YAML: {what}")) from None
    except yaml.YAMLError as error:
        raise BadInput(Problem(f"{file}:1", f"not valid YAML: {error}".splitlines()[0])) from None
    return [_Reader(file, text).read(node) for node in nodes if node is not None]


def _is_known(node: yaml.Node) -> bool:
    """Whether the value's tag is of YAML itself and goes with its form; `!!set` and `!!python/…` do not."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag.startswith(_STANDARD)
    return node.tag == _STANDARD + ("map" if isinstance(node, yaml.MappingNode) else "seq")


def cut(text: str, most: int = SHOWN_CHARACTERS_MAX) -> str:
    """Shorten a text so that it fits a line of a message."""
    return text if len(text) <= most else text[: most - 1] + "…"


class _Reader:
    """The reader of one document's nodes, which become a value and its lines."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._constructor = yaml.CSafeLoader("")
        self._lines: dict[Path, int] = {}
        self._problems: list[Problem] = []
        self._seen: set[int] = set()
        self._repeated = 0

    def read(self, root: yaml.Node) -> Document:
        value = self._value(root, (), root.start_mark.line + 1, 0)
        if self._problems:
            raise BadInput(*self._problems)
        return Document(value, self._lines)

    def _value(self, node: yaml.Node, path: Path, line: int, depth: int) -> Any:
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > REPEATED_MAX or depth > DEPTH_MAX:
            raise BadInput(
                Problem(f"{self._file}:{line}", "nested too deeply, or an alias that grows without end")
            )
        self._lines[path] = line
        if not _is_known(node):
            hint = "" if node.tag.startswith(_STANDARD) else f"; {must_be_quoted(node.tag)}"
            what = f"the tag {node.tag.replace(_STANDARD, '!!')} is not known here{hint}"
            self._problems.append(Problem(f"{self._file}:{line}", what))
            return None
        if isinstance(node, yaml.ScalarNode) and (meant := eaten(self._text, node.start_mark.index)):
            self._problems.append(Problem(f"{self._file}:{line}", must_be_quoted(meant)))
            return None
        if isinstance(node, yaml.MappingNode):
            return {
                key: self._value(child, (*path, key), at, depth + 1) for key, child, at in self._pairs(node)
            }
        if isinstance(node, yaml.SequenceNode):
            return [
                self._value(child, (*path, index), child.start_mark.line + 1, depth + 1)
                for index, child in enumerate(node.value)
            ]
        return self._scalar(node, line)

    def _pairs(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, int]]:
        """Keys with their values; a key of the mapping's own wins over one that `<<` merges in."""
        own: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise BadInput(Problem(f"{self._file}:{line}", "a key must be plain text"))
            if key_node.value in own and key_node.tag != _MERGE:
                first = own[key_node.value]
                what = f"key {key_node.value!r} stands here a second time (first in line {first}); remove one"
                self._problems.append(Problem(f"{self._file}:{line}", what))
            own.setdefault(key_node.value, line)
        if any(key.tag == _MERGE for key, _ in node.value):
            self._flatten(node)
        last = {key.value: (child, key.start_mark.line + 1) for key, child in node.value}
        yield from ((key, child, line) for key, (child, line) in last.items())

    def _flatten(self, node: yaml.MappingNode) -> None:
        try:
            self._constructor.flatten_mapping(node)
        except yaml.MarkedYAMLError as error:
            line = (error.problem_mark or node.start_mark).line + 1
            raise BadInput(Problem(f"{self._file}:{line}", f"not valid YAML: {error.problem}")) from None

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = f"cannot read {cut(repr(node.value))}: {str(error).splitlines()[0]}"
            self._problems.append(Problem(f"{self._file}:{line}", what))
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return self._no_number(node, line, "is no number of JSON")
        if isinstance(value, int) and not NUMBER_MIN <= value <= NUMBER_MAX:
            return self._no_number(node, line, "is a whole number of more than 64 bits")
        is_whole = isinstance(value, float) and value.is_integer() and NUMBER_MIN <= value <= NUMBER_MAX
        return int(value) if is_whole else value

    def _no_number(self, node: yaml.Node, line: int, why: str) -> None:
        allowed = f"allowed: {NUMBER_MIN} to {NUMBER_MAX}, or text in quotes"
        self._problems.append(Problem(f"{self._file}:{line}", f"{cut(node.value)} {why}; {allowed}"))
