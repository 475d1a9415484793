"""A world read from manifests, in a file or in all files of a folder; nothing needs to run for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fabric.api.objects import Object, key_of
from fabric.errors import BadInput, Problem
from fabric.plugin.policies import Evaluator, World, group_of
from fabric.plugin.policy_reading import BadPolicy, reference
from fabric.policy import evaluators, worlds
from fabric.topology.manifests import of_file
from fabric.topology.model import Manifest
from fabric.topology.schema import API_VERSION

T = TypeVar("T")
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Described:
    """The description that manifests make: the world, and where each object of it stands."""

    world: World
    plugin: str
    evaluator: Evaluator
    manifests: tuple[Manifest, ...]

    def where(self, obj: Object) -> str:
        """`file:line` of an object; empty for one that was made."""
        key = _identity(obj)
        return next((it.where for it in self.manifests if _identity(it.object) == key), "")


def described(path: Path, plugin: str | None = None, *, parameter: str = "--manifests") -> Described:
    """Read a file, or a folder's files with all below it; BadInput names each line that cannot be read.

    `plugin`: whose evaluator judges; without it the one that reads the kinds that are there.
    """
    manifests = tuple(_manifests(path, parameter))
    if not manifests:
        what = f"no object in {path}: a file, or a folder with files {', '.join(SUFFIXES)}"
        raise BadInput(Problem(parameter, what))
    _refuse_topologies(manifests)
    _refuse_repeated(manifests)
    world = _located(manifests, lambda: worlds.of_manifests(it.object for it in manifests))
    name = plugin or evaluators.plugin_for(world)
    return Described(world, name, _located(manifests, lambda: evaluators.of(name, world)), manifests)


def _manifests(path: Path, parameter: str) -> Iterator[Manifest]:
    if os.path.isdir(path):  # noqa: PTH112, Path's raises at a name that Linux does not take
        files = sorted(it for it in path.rglob("*") if it.suffix in SUFFIXES and it.is_file())
    elif os.path.isfile(path):  # noqa: PTH113
        files = [path]
    else:
        raise BadInput(Problem(parameter, f"no file or folder {str(path)!r}"))
    problems: list[Problem] = []
    for file in files:
        try:
            yield from of_file(file)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems)


def _located(manifests: Sequence[Manifest], read: Callable[[], T]) -> T:
    """Return what `read` returns; a fault of an object is told with its file and line."""
    try:
        return read()
    except BadPolicy as error:
        key = _identity(error.object)
        manifest = next((it for it in manifests if _identity(it.object) == key), None)
        where = manifest.line_of(error.path) if manifest else "--manifests"
        raise BadInput(Problem(where, f"{reference(error.object)}: {error.path}: {error.what}")) from None


def _refuse_topologies(manifests: Sequence[Manifest]) -> None:
    """Its policies are in the files that it names, so that an answer from it alone would be of no policy."""
    what = "this is a topology, and not a manifest: name the files of its spec.manifests, or their folder"
    found = [it for it in manifests if it.object["apiVersion"] == API_VERSION]
    if found:
        raise BadInput(*(Problem(it.where, what) for it in found))


def _refuse_repeated(manifests: Sequence[Manifest]) -> None:
    first: dict[tuple[str, ...], str] = {}
    problems = []
    for it in manifests:
        key = _identity(it.object)
        if key in first:
            what = f"{reference(it.object)} is there twice; the first is at {first[key]}"
            problems.append(Problem(it.where, what))
        first.setdefault(key, it.where)
    if problems:
        raise BadInput(*problems)


def _identity(obj: Object) -> tuple[str, ...]:
    """Group, kind, namespace and name, where a namespace that is left out is `default`."""
    key = key_of(obj)
    return group_of(obj), str(obj.get("kind")), key.namespace or "default", key.name
