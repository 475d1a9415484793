"""The objects of a fake namespace, found by key, by kind, by device and by the rule that names them.

A step is judged by what it concerns and nothing else: with a thousand policies there it costs what it costs
with ten.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import TypeVar

from fabric.netstate.objects import (
    Chain,
    Family,
    IpSet,
    Jump,
    Link,
    NetObject,
    NetState,
    Table,
    Veth,
    device_names,
)

T = TypeVar("T")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_TARGET = re.compile(r"(?:^| )(?:-j|-g) (\S+)")
_SET = re.compile(r"--match-set (\S+)|--(?:add|del)-set (\S+)")


class Objects:
    """The objects of one namespace, one of each key."""

    def __init__(self) -> None:
        self._objects: dict[Hashable, NetObject] = {}
        self._by_kind: dict[type, dict[Hashable, NetObject]] = {}
        self._by_device: dict[str, dict[Hashable, NetObject]] = {}
        self._by_reference: dict[Hashable, set[Hashable]] = {}

    def __iter__(self) -> Iterator[NetObject]:
        return iter(self._objects.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._objects

    @property
    def state(self) -> NetState:
        return frozenset(self._objects.values())

    def get(self, key: Hashable) -> NetObject | None:
        return self._objects.get(key)

    def link(self, name: str) -> Link | None:
        found = self._objects.get(("link", name))
        return found if isinstance(found, Link) else None

    def of_kind(self, kind: type[T]) -> list[T]:
        """Return all objects of one class."""
        return [obj for obj in self._by_kind.get(kind, {}).values() if isinstance(obj, kind)]

    def on_device(self, name: str) -> list[NetObject]:
        """Return the device and all that hangs on it, the ports of a bridge too."""
        return list(self._by_device.get(name, {}).values())

    def referring_to(self, key: Hashable) -> set[Hashable]:
        """Return the keys of rules that lead to a chain or ask for a set, and of sets that have it."""
        return self._by_reference.get(key, set())

    def put(self, obj: NetObject) -> None:
        key = obj.key
        self.drop(key)
        self._objects[key] = obj
        self._by_kind.setdefault(type(obj), {})[key] = obj
        for name in _devices(obj):
            self._by_device.setdefault(name, {})[key] = obj
        for other in references(obj):
            self._by_reference.setdefault(other, set()).add(key)

    def drop(self, key: Hashable) -> NetObject | None:
        """Take the object of that key away, and nothing with it; return it."""
        obj = self._objects.pop(key, None)
        if obj is not None:
            del self._by_kind[type(obj)][key]
            for name in _devices(obj):
                del self._by_device[name][key]
            for other in references(obj):
                self._by_reference[other].discard(key)
        return obj


def targets(text: str) -> list[str]:
    """Return the chains and targets that a rule leads to; a comment may say what it likes."""
    return _TARGET.findall(_QUOTED.sub("", text))


def set_names(text: str) -> list[str]:
    """Return the names of the sets that a rule names."""
    return [match or add for match, add in _SET.findall(_QUOTED.sub("", text))]


def rules_of(obj: Chain | Jump) -> list[str]:
    """Return the rules of a chain, or the one of a hook, as they read."""
    return [str(obj.rule)] if isinstance(obj, Jump) else [str(rule) for rule in obj.rules]


def chain_key(family: Family, table: Table, name: str) -> Hashable:
    return Chain(table, name, (), family).key


def references(obj: NetObject) -> set[Hashable]:
    """Return the keys of what an object names: a rule its chains and sets, a set of sets its members."""
    match obj:
        case Chain() | Jump():
            texts = rules_of(obj)
            chains = {chain_key(obj.family, obj.table, it) for text in texts for it in targets(text)}
            return chains | {IpSet(it).key for text in texts for it in set_names(text)}
        case IpSet() if obj.type.startswith("list:"):
            return {IpSet(name).key for name in obj.members}
    return set()


def _devices(obj: NetObject) -> frozenset[str]:
    names = device_names(obj)
    return names | {obj.master} if isinstance(obj, Veth) and obj.master else names
