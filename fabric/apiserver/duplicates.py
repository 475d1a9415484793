"""Duplicate keys of a body: the readers of JSON and YAML keep the last value and pass over the others.

kube-apiserver tells them by `fieldValidation`, as it tells unknown fields, and in the words used here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from fabric.apiserver import negotiation
from fabric.apiserver.options import WriteOptions
from fabric.errors import BadRequest

TOLD_MAX = 10


def tell(body: bytes, content_type: str, options: WriteOptions) -> None:
    """Warn of the duplicate keys of a body that can be decoded, or raise BadRequest, as the options ask."""
    if options.field_validation == "Ignore":
        return
    name = negotiation.media_name(content_type)
    found = _in_yaml(body) if name in negotiation.YAML_TYPES else _in_json(body, name)
    if found and options.field_validation == "Strict":
        raise BadRequest(f"strict decoding error: {', '.join(found[:TOLD_MAX])}")
    for message in found[:TOLD_MAX]:
        options.warn(message)


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys came more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: Sequence[str] = ()
        if len(self) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            self.repeated = [name for name, count in counts.items() if count > 1]


def _in_json(body: bytes, name: str) -> list[str]:
    if name == negotiation.PROTOBUF:
        return []
    decoded = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    return [f'duplicate field "{path}"' for path in _repeated(decoded, "")]


def _repeated(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        yield from (_below(path, name) for name in value.repeated)
        for name, child in value.items():
            if isinstance(child, dict | list):
                yield from _repeated(child, _below(path, name))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _repeated(child, f"{path}[{i}]")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _in_yaml(body: bytes) -> list[str]:
    return list(_set_twice(yaml.compose(body, Loader=yaml.CSafeLoader)))


def _set_twice(node: yaml.Node | None) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    yield f'line {key.start_mark.line + 1}: key "{key.value}" already set in map'
                seen.add(key.value)
            yield from _set_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _set_twice(child)
