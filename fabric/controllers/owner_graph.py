"""The graph of owners: each object with its owner references, kept up to date one object at a time.

Pure. An object with owners lives as long as one of them does. An owner that is deleted in the
foreground waits for the dependents that block it; one that is deleted as an orphan maker releases its
dependents first. Objects are known by uid, so that a name that is used again does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from fabric.api.kinds import Kind
from fabric.api.objects import Key, Object, is_deleting, key_of, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_FIELDS = ("uid", "ownerReferences", "finalizers", "deletionTimestamp")

Coordinates = tuple[str, str, str, str, str]
"""Namespace of the dependent; uid, API version, kind and name of the owner."""


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """An entry of `metadata.ownerReferences`."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocking: bool = False
    """blockOwnerDeletion: a foreground deletion of the owner waits for this object."""

    def coordinates(self, dependent: Vertex) -> Coordinates:
        """Return the place at which the dependent's owner is looked for: its uid counts only there."""
        return dependent.key.namespace, self.uid, self.api_version, self.kind, self.name


@dataclass(frozen=True, slots=True)
class Vertex:
    """An object as the graph keeps it."""

    uid: str
    kind: Kind
    key: Key
    owners: tuple[OwnerRef, ...] = ()
    deleting: bool = False
    foreground: bool = False
    """Being deleted, and waits for its blocking dependents."""
    orphaning: bool = False
    """Being deleted, and must release its dependents."""

    def __str__(self) -> str:
        return f"{self.kind.group_resource} {self.key}"


def vertex_of(kind: Kind, obj: Object) -> Vertex:
    """Read an object of that kind."""
    meta, deleting = obj["metadata"], is_deleting(obj)
    finalizers = meta.get("finalizers") or ()
    return Vertex(
        uid_of(obj),
        kind,
        key_of(obj),
        owner_refs(obj),
        deleting,
        deleting and FOREGROUND in finalizers,
        deleting and ORPHAN in finalizers,
    )


def same_for_owners(old: Object, new: Object) -> bool:
    """True when the objects have the same vertex, which most changes leave as it is."""
    before, after = old["metadata"], new["metadata"]
    return all(before.get(field) == after.get(field) for field in _FIELDS)


def owner_refs(obj: Object) -> tuple[OwnerRef, ...]:
    return tuple(
        OwnerRef(
            str(ref.get("uid", "")),
            str(ref.get("apiVersion", "")),
            str(ref.get("kind", "")),
            str(ref.get("name", "")),
            bool(ref.get("blockOwnerDeletion")),
        )
        for ref in obj["metadata"].get("ownerReferences") or ()
    )


class OwnerGraph:
    """The objects by uid and, for each uid that somebody names as an owner, who does."""

    def __init__(self) -> None:
        self._vertices: dict[str, Vertex] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def get(self, uid: str) -> Vertex | None:
        return self._vertices.get(uid)

    def dependents(self, uid: str) -> Collection[Vertex]:
        """The objects that name this uid as an owner, whether it exists or not."""
        return [self._vertices[dependent] for dependent in self._dependents.get(uid, ())]

    def put(self, vertex: Vertex) -> set[str]:
        """Take in an object as it is now; return the uids for which something may be to do now."""
        old = self._vertices.get(vertex.uid)
        if old == vertex:
            return set()
        touched: set[str] = set()
        if old is not None:
            touched = self._around(old)
            self._unlink(old)
        self._vertices[vertex.uid] = vertex
        for ref in vertex.owners:
            self._dependents.setdefault(ref.uid, {})[vertex.uid] = None
        return touched | self._around(vertex)

    def remove(self, uid: str) -> set[str]:
        """Forget an object that is gone; return the uids for which something may be to do now."""
        old = self._vertices.get(uid)
        if old is None:
            return set()
        touched = self._around(old)
        self._unlink(old)
        del self._vertices[uid]
        return touched - {uid}

    def owner(self, ref: OwnerRef, dependent: Vertex) -> Vertex | None:
        """The owner that the reference names, if it is here: a namespaced one only in the same namespace."""
        found = self._vertices.get(ref.uid)
        if found is None or (found.kind.kind, found.key.name) != (ref.kind, ref.name):
            return None
        return found if found.key.namespace in ("", dependent.key.namespace) else None

    def blockers(self, vertex: Vertex) -> list[Vertex]:
        """The dependents that a foreground deletion of this object waits for.

        One that is itself waiting, in a circle, for this object does not count: neither could ever go.
        """
        return [d for d in self._blocking(vertex) if not (d.foreground and self._waits_for(d, vertex.uid))]

    def _blocking(self, vertex: Vertex) -> Iterator[Vertex]:
        for dependent in self.dependents(vertex.uid):
            if dependent.uid != vertex.uid and any(
                ref.uid == vertex.uid and ref.blocking for ref in dependent.owners
            ):
                yield dependent

    def _waits_for(self, start: Vertex, uid: str) -> bool:
        seen, stack = {start.uid}, [start]
        while stack:
            for dependent in self._blocking(stack.pop()):
                if dependent.uid == uid:
                    return True
                if dependent.foreground and dependent.uid not in seen:
                    seen.add(dependent.uid)
                    stack.append(dependent)
        return False

    def _around(self, vertex: Vertex) -> set[str]:
        """The object, its dependents, and everybody above it who waits."""
        touched = {vertex.uid, *self._dependents.get(vertex.uid, ())}
        stack = [vertex]
        seen: set[str] = set()
        while stack:
            for ref in stack.pop().owners:
                owner = self._vertices.get(ref.uid)
                if owner is not None and owner.deleting and owner.uid not in seen:
                    seen.add(owner.uid)
                    stack.append(owner)
        return touched | seen

    def _unlink(self, vertex: Vertex) -> None:
        for ref in vertex.owners:
            dependents = self._dependents.get(ref.uid, {})
            dependents.pop(vertex.uid, None)
            if not dependents:
                self._dependents.pop(ref.uid, None)
