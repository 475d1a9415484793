"""YAML bodies, read as JSON and within bounds.

libyaml composes a document by recursion in C, which ends the process on one that is nested deep enough, and
aliases and merge keys can unfold a short document into billions of values. So the stream of events, which
is flat, is measured before anything is composed from it.
"""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from fabric.errors import BadRequest

NODES_MAX = 50_000
"""How many values a document may have, with every alias written out: about a second's work."""
DIGITS_MAX = 64
"""YAML 1.1 has numbers to the base 60, whose reading takes time by the square of their length."""


def decode(body: bytes, depth_max: int) -> Any:
    """The document as JSON data. BadRequest when it cannot be read, is too deep, or has too many values."""
    try:
        _measure(body, depth_max)
        loaded = yaml.load(body, Loader=_JsonLoader)
        return orjson.loads(orjson.dumps(loaded, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise BadRequest(f"the body is not YAML: {error}") from error


def encode(obj: Any) -> bytes:
    return yaml.dump(obj, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()


def _measure(body: bytes, depth_max: int) -> None:
    sizes: dict[str | None, int] = {}
    open_: list[tuple[str | None, int]] = []
    size = 0
    for event in yaml.parse(body, Loader=_JsonLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, size))
            size += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = size - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_):
                raise BadRequest(f"the body is not YAML that JSON can say: *{event.anchor} is within itself")
            size += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_) > depth_max:
            raise BadRequest(f"the body is nested more than {depth_max} deep")
        if size > NODES_MAX:
            raise BadRequest(f"the body has more than {NODES_MAX} values, its aliases written out: send JSON")


class _JsonLoader(yaml.CSafeLoader):
    """YAML read as JSON: a date stays the text it is, and binary becomes base64."""


def _binary_as_text(loader: Any, node: Any) -> str:
    return "".join(loader.construct_scalar(node).split())


def _scalar_as_text(loader: Any, node: Any) -> str:
    return str(loader.construct_scalar(node))


def _short_number(loader: Any, node: Any) -> Any:
    if len(node.value) > DIGITS_MAX:
        raise BadRequest(f"the body has a number of {len(node.value)} characters (at most {DIGITS_MAX})")
    is_float = node.tag == "tag:yaml.org,2002:float"
    return loader.construct_yaml_float(node) if is_float else loader.construct_yaml_int(node)


for tag in ("timestamp", "value"):
    _JsonLoader.add_constructor(f"tag:yaml.org,2002:{tag}", _scalar_as_text)
_JsonLoader.add_constructor("tag:yaml.org,2002:binary", _binary_as_text)
_JsonLoader.add_constructor("tag:yaml.org,2002:int", _short_number)
_JsonLoader.add_constructor("tag:yaml.org,2002:float", _short_number)
