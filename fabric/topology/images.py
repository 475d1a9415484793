"""The images that a topology adds to the built-in ones: written in the file, or in one that topologies share.

Names are those of a repository's path without registry, tag and digest, as `fabric.kubelet.catalogue` looks
them up. Relative roots count from the file that has the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from fabric.errors import BadInput, Problem
from fabric.topology.complaints import complaints, dotted, show
from fabric.topology.document import Document, Path, documents, read_text
from fabric.topology.model import ImageEntry

_NAME = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_AT = ("spec", "images")
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 131071}
"""An argument or a variable that Linux takes: MAX_ARG_STRLEN, with its end."""
_IMAGES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "command": {"type": "array", "items": _TEXT, "description": "What runs: an ENTRYPOINT."},
            "args": {"type": "array", "items": _TEXT, "description": "Arguments to it: a CMD."},
            "env": {"type": "object", "additionalProperties": _TEXT},
            "cwd": {"type": "string", "pattern": "^/", "title": "an absolute path", "default": "/"},
            "root": _TEXT | {"description": "A folder with an unpacked image.", "minLength": 1},
            "ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}},
        },
    },
}
SCHEMA: dict[str, Any] = _IMAGES | {
    "description": "Images beside the built-in ones, by name; or the path of a file that has such `images`.",
    "type": ["object", "string"],
    "minLength": 1,
}
_FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["images"],
    "properties": {"images": _IMAGES},
}


def images(value: Any, document: Document, source: FilePath) -> tuple[tuple[ImageEntry, ...], list[Problem]]:
    """Read `spec.images`, which the schema has passed; return the images, and all that is wrong with them."""
    if isinstance(value, str):
        try:
            return _of_file(source.parent / value), []
        except BadInput as error:
            return (), [_named_here(problem, document, source) for problem in error.problems]
    problems = [
        Problem(f"{source}:{document.line(at)}", f"{dotted(at)}: {what}") for at, what in _faults(_AT, value)
    ]
    return _entries(value, source.parent), problems


def _of_file(path: FilePath) -> tuple[ImageEntry, ...]:
    found = documents(read_text(path), str(path))
    if len(found) != 1:
        raise BadInput(Problem(f"{path}:1", "a file of images is one YAML document with the key images"))
    (document,) = found
    problems = [(at, what) for at, what in complaints(document, _FILE_SCHEMA)]
    if not problems:
        named = _faults(("images",), document.value["images"])
        problems = [(at, f"{dotted(at)}: {what}") for at, what in named]
    if problems:
        raise BadInput(*(Problem(f"{path}:{document.line(at)}", what) for at, what in problems))
    return _entries(document.value["images"], path.parent)


def _named_here(problem: Problem, document: Document, source: FilePath) -> Problem:
    """Tell of a file that cannot be read at the line that names it."""
    if problem.where.rpartition(":")[2].isdigit():
        return problem
    what = f"spec.images: {problem.where} {problem.what}; paths are relative to the topology's folder"
    return Problem(f"{source}:{document.line(_AT)}", what)


def _faults(at: Path, images: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for name, body in images.items():
        if not _NAME.fullmatch(name):
            what = f"{show(name)} is no image's name; allowed: a path such as redis or team/app, without tag"
            yield (*at, name), what
        if not body.get("command") and not body.get("root"):
            yield (*at, name), "needs a command, or a root to run in"
        for variable in body.get("env", ()):
            if not variable or "=" in variable:
                yield (*at, name, "env", variable), f"{show(variable)} is no name of a variable"
        if "\0" in "".join(_texts(body)):
            yield (*at, name), "has a NUL, which Linux takes in no argument, variable or path"


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value of JSON, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value:
            yield from _texts(item)
        if isinstance(value, Mapping):
            yield from _texts(list(value.values()))


def _entries(images: Mapping[str, Any], folder: FilePath) -> tuple[ImageEntry, ...]:
    return tuple(
        ImageEntry(
            name=name,
            command=tuple(body.get("command", ())),
            args=tuple(body.get("args", ())),
            env=body.get("env", {}),
            cwd=body.get("cwd", "/"),
            root=(folder / body["root"]).absolute() if body.get("root") else None,
            ports=tuple(body.get("ports", ())),
        )
        for name, body in images.items()
    )
