"""The reader of policies in plain JSON: each value knows its path, so that a fault can be named.

    spec = Value.of(policy).at("spec", "ingress", "egress", "podSelector", "policyTypes")
    for rule in spec["ingress"]:
        ...

What cannot be what it must be raises `BadPolicy`, as does a key that the kind does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from fabric.api.names import loose_network
from fabric.api.objects import Object
from fabric.errors import FabricError
from fabric.netstate.objects import IPNetwork


class BadPolicy(FabricError):
    """A policy, or what it refers to, cannot be read."""

    def __init__(self, obj: Object, path: str, what: str) -> None:
        super().__init__(f"{reference(obj)}: {path}: {what}")
        self.object, self.path, self.what = obj, path, what


def reference(obj: Object) -> str:
    """`NetworkPolicy default/web`: a kind and a name, as messages have it."""
    metadata = obj.get("metadata") or {}
    namespace = metadata.get("namespace")
    return f"{obj.get('kind')} {f'{namespace}/' if namespace else ''}{metadata.get('name')}"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of an object, or the absence of one, at its path."""

    value: Any
    path: str
    object: Object

    @classmethod
    def of(cls, obj: Object) -> Value:
        return cls(obj, "", obj)

    @property
    def is_given(self) -> bool:
        return self.value is not None

    def __getitem__(self, name: str) -> Value:
        return Value(self._mapping().get(name), f"{self.path}.{name}".lstrip("."), self.object)

    def __iter__(self) -> Iterator[Value]:
        """The items of a list; none where it is absent."""
        if self.is_given and not isinstance(self.value, list):
            self.refuse("a list is expected")
        for index, item in enumerate(self.value or ()):
            yield Value(item, f"{self.path}[{index}]", self.object)

    def only(self, *names: str) -> Value:
        """The mapping, which must have no other keys."""
        for key in self._mapping():
            if key not in names:
                Value(None, f"{self.path}.{key}".lstrip("."), self.object).refuse(
                    f"unknown field (allowed: {', '.join(sorted(names))})"
                )
        return self

    def text(self, default: str = "") -> str:
        if self.is_given and not isinstance(self.value, str):
            self.refuse("text is expected")
        return self.value if self.is_given else default

    def texts(self) -> tuple[str, ...]:
        return tuple(it.text() for it in self)

    def flag(self, default: bool = False) -> bool:
        if self.is_given and not isinstance(self.value, bool):
            self.refuse("true or false is expected")
        return bool(self.value) if self.is_given else default

    def number(self) -> float | None:
        if self.is_given and (isinstance(self.value, bool) or not isinstance(self.value, int | float)):
            self.refuse("a number is expected")
        return None if self.value is None else float(self.value)

    def whole(self, least: int = 0, most: int = 65535) -> int | None:
        """A whole number within bounds, or None."""
        if not self.is_given:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.refuse("a whole number is expected")
        if not least <= self.value <= most:
            self.refuse(f"{self.value} is not between {least} and {most}")
        return int(self.value)

    def choice(self, *words: str, default: str = "") -> str:
        found = self.text(default)
        if found not in words and self.is_given:
            self.refuse(f"{found!r} is none of {', '.join(words)}")
        return found

    def labels(self) -> Mapping[str, str]:
        for key in self._mapping():
            self[key].text()
        return self._mapping()

    def network(self) -> IPNetwork:
        """A network; bits behind its prefix are cleared, an address alone is a network of one."""
        try:
            return loose_network(self.text())
        except ValueError as error:
            self.refuse(str(error))

    def networks(self) -> tuple[IPNetwork, ...]:
        return tuple(it.network() for it in self)

    def refuse(self, what: str) -> NoReturn:
        raise BadPolicy(self.object, self.path, what)

    def _mapping(self) -> Mapping[str, Any]:
        if self.is_given and not isinstance(self.value, dict):
            self.refuse("a mapping is expected")
        return self.value or {}
