"""Kinds that a plugin has served by the API server: rows of the table of kinds, with four columns more.

A `ServedKind` goes wherever a `Kind` goes. Its objects stand in the store where the plugin keeps them and as
it writes them, so that kubectl and the plugin's own tools see one truth; a write through the API satisfies
the plugin's rules before it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.store.port import Store

READ_ONLY = ("get", "list", "watch")
"""The verbs of a kind that only the plugin writes."""


class StorageCodec(Protocol):
    """A storage codec turns one kind's objects into the store's keys and values, and back."""

    @property
    def prefix(self) -> str:
        """Every key of the kind begins with it, and no key of another kind that is served."""
        ...

    def tail(self, name: str) -> str:
        """The key behind the prefix of an object; `name` is `namespace/name`, or the name alone."""
        ...

    def name(self, tail: str) -> str | None:
        """Undo `tail`; None for a key that is no object of this kind."""
        ...

    def decode(self, value: bytes, tail: str) -> Object | None:
        """The object that stands there, with at least `metadata.name`; None for what cannot be read.

        Somebody may have written it by hand, and wrong; that must not stop the others.
        """
        ...

    def encode(self, obj: Object) -> bytes:
        """Return the bytes to store for an object; its resource version is the key's own, and not in them."""
        ...


@dataclass(frozen=True, slots=True)
class JsonCodec:
    """An object's JSON at `<prefix><namespace>/<name>`, or `<prefix><name>` where there is no namespace."""

    prefix: str

    def tail(self, name: str) -> str:
        return name

    def name(self, tail: str) -> str | None:
        return tail or None

    def decode(self, value: bytes, tail: str) -> Object | None:
        try:
            found: Any = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        is_object = isinstance(found, dict) and isinstance(found.get("metadata"), dict)
        return found if is_object and found["metadata"].get("name") else None

    def encode(self, obj: Object) -> bytes:
        return orjson.dumps(obj)


class Rules(Protocol):
    """The plugin's rules for a write through the API. Writes of one kind are judged one at a time."""

    async def admit(self, store: Store, new: Object, old: Object | None) -> Object:
        """The object as it shall be stored, defaults filled in; `old` is None for one that is created.

        Invalid carries a cause for each fault. `old` itself when nothing changes; never writes into `new`.
        """
        ...

    async def before_delete(self, store: Store, obj: Object) -> Object:
        """Do what must be done before the object is removed; may be called again.

        Returns the object as it then stands, with its resource version. Conflict when it is not as given.
        """
        ...


class NoRules:
    """Every write is right, and nothing hangs on the objects."""

    async def admit(self, store: Store, new: Object, old: Object | None) -> Object:
        return new

    async def before_delete(self, store: Store, obj: Object) -> Object:
        return obj


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """A column of `kubectl get`, between the name and the age."""

    name: str
    cell: Callable[[Object], Any]
    """Text, a number or a truth value."""
    is_wide: bool = False
    """Shown with `-o wide` only."""
    type: str = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedKind(Kind):
    """A kind that a plugin has served; two are equal when their names are."""

    codec: StorageCodec = field(compare=False)
    rules: Rules = field(compare=False, default_factory=NoRules)
    columns: tuple[PrinterColumn, ...] = field(compare=False, default=())
    has_age: bool = field(compare=False, default=True)
    """False where the kind's own server prints no age, as an aggregated one of Kubernetes does not."""
    warnings: Callable[[Object], Iterable[str]] = field(compare=False, default=lambda obj: ())
    """Sentences for whoever writes this object, which is as the client gave it, and was admitted."""
    description: str = field(compare=False, default="")
    """A sentence for `kubectl explain`."""
    properties: Mapping[str, Any] = field(compare=False, default_factory=dict)
    """OpenAPI schemas of what stands beside apiVersion, kind and metadata: usually `spec` and `status`.

    Without any, every field is kept as it comes.
    """
