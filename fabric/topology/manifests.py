"""The Kubernetes objects that a topology brings: read from files or inline, each with its place.

Only what every object must have is checked here (apiVersion, kind, a name); the API server checks the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from fabric.errors import BadInput, Problem
from fabric.topology.document import PATH_CHARACTERS_MAX, Document, Path, cut, documents, read_text
from fabric.topology.model import Manifest


def manifests(entries: list[Any], lines: Document, source: FilePath) -> tuple[list[Manifest], list[Problem]]:
    """Read every entry of `spec.manifests`; return the objects, and all that is wrong with them."""
    found: list[Manifest] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        where = f"{source}:{lines.lines[('spec', 'manifests', index)]}"
        try:
            found.extend(
                _file(source.parent / entry, where)
                if isinstance(entry, str)
                else _flat(entry, where, lines.lines, ("spec", "manifests", index))
            )
        except BadInput as error:
            problems.extend(error.problems)
    return found, problems


def of_file(path: FilePath) -> Iterator[Manifest]:
    """The objects of a file; BadInput where one of them is none."""
    for document in documents(read_text(path), str(path)):
        if document.value is not None:
            yield from _flat(document.value, f"{path}:{document.lines[()]}", document.lines, ())


def _file(path: FilePath, named_at: str) -> Iterator[Manifest]:
    if not os.path.isfile(path):  # noqa: PTH113, Path's raises at a name that Linux does not take
        named = cut(repr(str(path)), PATH_CHARACTERS_MAX)
        what = f"no manifest file {named}; paths are relative to the topology's folder"
        raise BadInput(Problem(named_at, what))
    yield from of_file(path)


def _flat(obj: Any, where: str, lines: Mapping[Path, int], at: Path) -> Iterator[Manifest]:
    """The object itself, or what a `kind: List` holds."""
    if not isinstance(obj, dict):
        raise BadInput(Problem(where, "a manifest must be a mapping with apiVersion, kind and metadata"))
    if obj.get("kind") == "List" and isinstance(obj.get("items"), list):
        file = where.rpartition(":")[0]
        for index, item in enumerate(obj["items"]):
            inside = (*at, "items", index)
            yield from _flat(item, f"{file}:{lines[inside]}" if inside in lines else where, lines, inside)
        return
    metadata = obj.get("metadata")
    missing = [key for key in ("apiVersion", "kind") if not isinstance(obj.get(key), str) or not obj[key]]
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        missing.append("metadata.name")
    if missing:
        raise BadInput(Problem(where, f"a manifest lacks {', '.join(missing)}"))
    yield Manifest(obj, where, lines, at)
