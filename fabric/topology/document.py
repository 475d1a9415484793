"""YAML read with its line numbers: a value and, for every path in it, the line where it stands.

Refused with file and line: broken syntax, duplicate keys, keys that are not text, aliases that contain
themselves or unfold to more than a file of that size can need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from fabric.errors import BadInput, Problem

Path = tuple[str | int, ...]
VALUES_MAX = 2_000_000
DEPTH_MAX = 64


@dataclass(frozen=True)
class Document:
    """One YAML document."""

    value: Any
    lines: dict[Path, int]
    """Line of every value by its path; the path of a mapping's value gives the line of its key."""


def documents(text: str, file: str) -> list[Document]:
    """Return the documents of a YAML text; BadInput names every line that cannot be read."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = " ".join(filter(None, (error.context, error.problem)))
        raise BadInput(Problem(f"{file}:{line}", f"not valid YAML: {what}")) from None
    except yaml.YAMLError as error:
        raise BadInput(Problem(f"{file}:1", f"not valid YAML: {error}".splitlines()[0])) from None
    return [_Reader(file).read(node) for node in nodes if node is not None]


class _Reader:
    """Turns one node graph into a value and its lines."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._constructor = yaml.CSafeLoader("")
        self._lines: dict[Path, int] = {}
        self._problems: list[Problem] = []
        self._values = 0

    def read(self, root: yaml.Node) -> Document:
        value = self._value(root, (), root.start_mark.line + 1, 0)
        if self._problems:
            raise BadInput(*self._problems)
        return Document(value, self._lines)

    def _value(self, node: yaml.Node, path: Path, line: int, depth: int) -> Any:
        self._values += 1
        if self._values > VALUES_MAX or depth > DEPTH_MAX:
            raise BadInput(
                Problem(f"{self._file}:{line}", "nested too deeply, or an alias that grows without end")
            )
        self._lines[path] = line
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
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            self._constructor.flatten_mapping(node)
        seen: dict[str, int] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.append(Problem(f"{self._file}:{line}", "a key must be plain text"))
                continue
            key = key_node.value
            if key in seen:
                what = f"key {key!r} stands here a second time (first in line {seen[key]}); remove one"
                self._problems.append(Problem(f"{self._file}:{line}", what))
                continue
            seen[key] = line
            yield key, child, line

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = f"cannot read {node.value!r}: {str(error).splitlines()[0]}"
            self._problems.append(Problem(f"{self._file}:{line}", what))
            return None
