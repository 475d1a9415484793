"""The client's contract: the only way components meet.

Two sides implement it: HTTP (fabric.control.http) and, for tests and tiny clusters, a direct call into
the registry (fabric.apiserver.local). Both raise the `ApiError` that the server's Status names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fabric.api.kinds import Kind
from fabric.api.objects import Object

PatchType = Literal[
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
MERGE: PatchType = "application/merge-patch+json"
JSON_PATCH: PatchType = "application/json-patch+json"
STRATEGIC: PatchType = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class ObjectList:
    items: tuple[Object, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED with the object; BOOKMARK with only a resource version in it."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Client(Protocol):
    """Verbs on kinds; objects are plain JSON."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object: ...

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        """All objects of the kind, in one namespace or (empty) in all, at one resource version."""
        ...

    async def create(self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "") -> Object:
        """POST; with `subresource` ("binding", "eviction") below the object that `obj` names."""
        ...

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        """PUT the whole object; Conflict when its resource version is old."""
        ...

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        subresource: str = "",
        patch_type: PatchType = MERGE,
        field_manager: str = "fabric",
    ) -> Object: ...

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        uid: str = "",
    ) -> None:
        """Ask for deletion; `uid` makes it a precondition (Conflict when another object has the name)."""
        ...

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after `resource_version`; Gone when it is too old. May end at any time."""
        ...

    async def close(self) -> None: ...


def delete_options(grace_period_seconds: int | None, propagation: str, uid: str) -> Object:
    """Return the DeleteOptions of a client's `delete`."""
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if uid:
        options["preconditions"] = {"uid": uid}
    return options
