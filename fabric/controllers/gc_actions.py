"""The garbage collector's next action on an object: pure, from the graph of owners.

An owner that the graph does not show may only be late; the action is then to look it up, and is found
anew with the answer. Once absent, always absent: a uid is never used twice.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

from fabric.controllers.owner_graph import FOREGROUND, ORPHAN, Coordinates, OwnerGraph, OwnerRef, Vertex

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is to be done."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the server for these owners, then come again."""

    owners: tuple[OwnerRef, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """No owner is left that would keep it."""

    propagation: Propagation


@dataclass(frozen=True, slots=True)
class Release:
    """It lives on by another owner: drop the references to these uids."""

    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class OrphanDependents:
    """Drop the references of these dependents to it; when there are none, its finalizer."""

    dependents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unfinalize:
    """It waited long enough: remove this finalizer."""

    finalizer: str


Action = Keep | LookUp | Delete | Release | OrphanDependents | Unfinalize
KEEP = Keep()


def next_action(
    graph: OwnerGraph,
    vertex: Vertex,
    absent: Container[Coordinates] = (),
    present: Container[Coordinates] = (),
) -> Action:
    """Judge an object of the graph; `absent` and `present` are owners that the server was asked for."""
    if vertex.orphaning:
        dependents = frozenset(d.uid for d in graph.dependents(vertex.uid) if d.uid != vertex.uid)
        return OrphanDependents(dependents) if dependents else Unfinalize(ORPHAN)
    if vertex.foreground:
        return KEEP if graph.blockers(vertex) else Unfinalize(FOREGROUND)
    if vertex.deleting or not vertex.owners:
        return KEEP
    return _by_owners(graph, vertex, absent, present)


def _by_owners(
    graph: OwnerGraph, vertex: Vertex, absent: Container[Coordinates], present: Container[Coordinates]
) -> Action:
    unknown: list[OwnerRef] = []
    going: set[str] = set()
    waiting = solid = False
    for ref in vertex.owners:
        owner = graph.owner(ref, vertex)
        if owner is not None and owner.foreground:
            waiting = True
            going.add(ref.uid)
        elif owner is not None or ref.coordinates(vertex) in present:
            solid = True
        elif ref.coordinates(vertex) in absent:
            going.add(ref.uid)
        else:
            unknown.append(ref)
    if unknown:
        return LookUp(tuple(unknown))
    if solid:
        return Release(frozenset(going)) if going else KEEP
    has_dependents = any(d.uid != vertex.uid for d in graph.dependents(vertex.uid))
    return Delete("Foreground" if waiting and has_dependents else "Background")
