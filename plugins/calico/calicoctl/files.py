"""Objects from files: one, all of a folder, or standard input; YAML or JSON, several documents, lists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import yaml

from fabric.api.objects import Object
from fabric.api.yaml_quotes import hint, must_be_quoted
from fabric.errors import FabricError

BYTES_MAX = 64 * 1024 * 1024
VALUES_MAX = 1_000_000
"""Values in one file, its aliases written out."""
SUFFIXES = (".json", ".yaml", ".yml")


class BadFile(FabricError):
    """A file that cannot be read, or says nothing that makes sense."""


def documents(name: str, stdin: TextIO, *, recursive: bool) -> Iterator[tuple[str, list[Any]]]:
    """Yield (file's name, its documents) for `-`, a file, or each manifest of a folder."""
    if name == "-":
        yield name, read(stdin.read(), name)
        return
    path = Path(name)
    for each in _manifests(path, recursive) if path.is_dir() else (path,):
        yield str(each), read(_text(each), str(each))


def read(text: str, name: str) -> list[Any]:
    """The documents of a text as plain JSON, those that are empty left out."""
    budget = [VALUES_MAX]
    try:
        found = (document for document in yaml.load_all(text, Loader=_Loader) if document is not None)
        return [_plain(document, name, budget) for document in found]
    except yaml.YAMLError as error:
        raise BadFile(f"{name}: {_said(error, text)}") from None
    except RecursionError:
        raise BadFile(f"{name}: nested too deeply") from None


def objects(document: Any, name: str) -> Iterator[Object]:
    """The object itself, or what a list of objects holds: an array, or any kind that ends in List."""
    if isinstance(document, list):
        for item in document:
            yield from objects(item, name)
    elif not isinstance(document, dict):
        raise BadFile(f"{name}: a resource is expected, with apiVersion, kind and metadata")
    elif str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from objects(item, name)
    else:
        yield document


def is_text(plain: str) -> bool:
    """True when a scalar without quotes is read as text."""
    return not any(re.fullmatch(pattern, plain) for pattern, _ in _SCALARS.values())


def _manifests(folder: Path, recursive: bool) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if recursive:
                yield from _manifests(path, recursive)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BadFile(f"{path} is larger than {BYTES_MAX >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"open {path}: {os.strerror(error.errno or 0).lower()}") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path}: not text in UTF-8") from None


def _said(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    if mark is None:
        return problem
    return f"line {mark.line + 1}: {problem}{hint(text, mark.line + 1)}"


def _plain(value: Any, name: str, budget: list[int]) -> Any:
    """The value as JSON has it: keys are text, and nothing that JSON has not."""
    budget[0] -= 1
    if budget[0] < 0:
        raise BadFile(f"{name}: more than {VALUES_MAX} values")
    if isinstance(value, Mapping):
        return {_key(key, name): _plain(item, name, budget) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, name, budget) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise BadFile(f"{name}: a {type(value).__name__} is no value of JSON")


def _key(key: Any, name: str) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | float):
        return str(key)
    raise BadFile(f"{name}: {key!r} cannot be the name of a field")


class _Loader(yaml.SafeLoader):
    """Scalars as Go reads them: no dates, and 65000:10 is no number in base sixty.

    A `!` with a space behind it is refused: YAML would take it away, and with it the "not" of a selector.
    """

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag == "!":
            raise yaml.composer.ComposerError(None, None, must_be_quoted(f"!{event.value}"), event.start_mark)
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        return node


_SCALARS = {
    "bool": (r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    "int": (r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": ("<<", "<"),
}
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
