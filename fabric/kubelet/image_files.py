"""Images that users add: `images.yaml`, a mapping from a name to what it runs.

images:
  redis:
    command: [redis-server, --port, "6379"]
    ports: [6379]
  my-app:
    root: /srv/my-app          # an unpacked image; relative paths count from the file
    command: [/bin/my-app]
    env: {MODE: demo}
    cwd: /var/lib/my-app
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fabric.errors import BadInput, Problem

_KEYS = ("command", "args", "env", "cwd", "root", "ports")


@dataclass(frozen=True, slots=True)
class Entry:
    """An image as its file says it."""

    name: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    root: Path | None = None
    ports: tuple[int, ...] = ()


def read(path: Path) -> list[Entry]:
    """Return the entries of a file, or of all `*.yaml` in a directory; BadInput names file and line."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return [entry for file in files for entry in _read_file(file)]


def _read_file(path: Path) -> list[Entry]:
    try:
        text = path.read_text()
        document = yaml.safe_load(text)
        lines = _lines(yaml.compose(text, Loader=yaml.SafeLoader))
    except OSError as error:
        raise BadInput(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(Problem(f"{path}:{line}", f"is not YAML: {error.problem}")) from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, dict):
        raise BadInput(Problem(f"{path}:1", "must be a mapping with the key images, a mapping by name"))
    problems = [
        Problem(f"{path}:{lines.get(str(name), 1)}", f"image {name}: {what}")
        for name, body in images.items()
        for what in _problems(body)
    ]
    if problems:
        raise BadInput(*problems)
    return [_entry(str(name), body, path.parent) for name, body in images.items()]


def _lines(document: Any) -> dict[str, int]:
    """Return the line of each image's name, from 1."""
    lines: dict[str, int] = {}
    if not isinstance(document, yaml.MappingNode):
        return lines
    for key, value in document.value:
        if key.value == "images" and isinstance(value, yaml.MappingNode):
            lines |= {name.value: name.start_mark.line + 1 for name, _ in value.value}
    return lines


def _problems(body: Any) -> list[str]:
    if not isinstance(body, dict):
        return [f"must be a mapping with {', '.join(_KEYS)}"]
    found = [f"{key} is not known; allowed are {', '.join(_KEYS)}" for key in body if key not in _KEYS]
    lists = [key for key in ("command", "args") if not _is_strings(body.get(key, []))]
    found += [f"{key} must be a list of strings" for key in lists]
    env = body.get("env", {})
    if not isinstance(env, dict) or not _is_strings([*env, *env.values()]):
        found.append("env must map names to strings")
    if not _is_ports(body.get("ports", [])):
        found.append("ports must be a list of numbers from 1 to 65535")
    found += [f"{key} must be a path" for key in ("cwd", "root") if not isinstance(body.get(key, ""), str)]
    if not body.get("command") and not body.get("root"):
        found.append("needs a command, or a root to run in")
    return found


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_ports(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 < item < 65536 for item in value)


def _entry(name: str, body: Mapping[str, Any], base: Path) -> Entry:
    root = base / body["root"] if body.get("root") else None
    return Entry(
        name,
        tuple(body.get("command", ())),
        tuple(body.get("args", ())),
        dict(body.get("env", {})),
        body.get("cwd", "/"),
        root,
        tuple(body.get("ports", ())),
    )
