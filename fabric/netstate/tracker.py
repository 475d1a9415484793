"""The delta tracker knows what is wanted of a namespace, what is in it, and which keys may differ.

Each medium (netlink, sysctls, sets, rules) is read in its own way and at its own times. A plan looks at the
keys that may differ and at nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace

from fabric.netstate.objects import (
    Address,
    Chain,
    Family,
    Jump,
    Link,
    NetObject,
    Route,
    Veth,
    device_names,
    settings_of,
)
from fabric.netstate.parts import Parts
from fabric.netstate.plan import Plan, between, matches
from fabric.netstate.port import Medium, medium_of


class Tracker:
    """Desired and actual state of one owner in one namespace."""

    def __init__(self) -> None:
        self.parts = Parts()
        self._actual: dict[Hashable, NetObject] = {}
        self._dirty: set[Hashable] = set()
        self._planned: dict[Hashable, NetObject | None] = {}
        """What the last plan was to make of each key."""
        self._devices: set[str] = set()
        """The devices that what is wanted needs; some may not be needed any more."""
        self._down: set[str] = set()
        """Of these, what was seen lowered or gone last."""

    def want(self, part: str, state: Iterable[NetObject]) -> bool:
        """Set what a part wants; True when there may be something to do for it."""
        changed = self.parts.put(part, state)
        self._dirty |= changed
        for key in changed:
            obj = self.parts.get(key)
            if obj is not None:
                self._devices |= device_names(obj)
        return bool(changed)

    def saw(self, media: frozenset[Medium], found: Iterable[NetObject]) -> None:
        """Take in what was read of some media, all of it."""
        now = {obj.key: obj for obj in found}
        for key in [key for key, obj in self._actual.items() if medium_of(obj) in media]:
            if key not in now:
                del self._actual[key]
        wanted = {obj.key: obj for obj in self.parts.objects() if medium_of(obj) in media}
        self._dirty = {key for key in self._dirty if not self._is_of(key, media)}
        for key, obj in now.items():
            desired = wanted.get(key)
            fits = desired is not None and matches(desired, obj)
            self._actual[key] = desired if desired is not None and fits else obj
            if not fits:
                self._dirty.add(key)
        self._dirty |= wanted.keys() - now.keys()
        self._devices = {name for obj in self.parts.objects() for name in device_names(obj)}

    def plan(self) -> Plan:
        """Return what is to be done for the keys that may differ."""
        self._planned = {key: self.parts.get(key) for key in self._dirty}
        want = {key: obj for key, obj in self._planned.items() if obj is not None}
        have = {key: self._actual[key] for key in self._planned if key in self._actual}
        return between(want, have, self._kept)

    def done(self) -> None:
        """Note that the last plan was carried out; what was wanted otherwise meanwhile still differs."""
        for key, obj in self._planned.items():
            if obj is None:
                self._actual.pop(key, None)
            else:
                self._actual[key] = obj
            if self.parts.get(key) == obj:
                self._dirty.discard(key)
        self._planned = {}

    @property
    def is_done(self) -> bool:
        """True when nothing is known to differ."""
        return not self._dirty

    @property
    def is_programmed(self) -> bool:
        """True when each wanted object is in the kernel, be it with an older value."""
        return all(key in self._actual for key in self._dirty if self.parts.get(key) is not None)

    def has_converged(self, part: str) -> bool:
        """True when nothing that the part wants is known to differ."""
        return self._dirty.isdisjoint(obj.key for obj in self.parts.state_of(part) or ())

    @property
    def families(self) -> frozenset[Family]:
        """The families of the routes and rules that are wanted or there."""
        found = {family_of(obj) for obj in (*self.parts.objects(), *self._actual.values())}
        return frozenset(family for family in found if family is not None)

    def is_drift(self, obj: NetObject, *, gone: bool, owned: bool) -> bool:
        """True when that `obj` is now in the kernel, or no more, is not as it was left.

        A device that goes or is lowered takes along what the kernel does not tell of; so may an address. Of a
        pair nothing is said of its far end.
        """
        known = self._actual.get(obj.key)
        if isinstance(known, Veth) and isinstance(obj, Veth):
            obj = replace(obj, peer=known.peer, peer_ns=known.peer_ns)
        differs = owned if known is None else not matches(known, obj)
        drifted = known is not None if gone else differs
        if isinstance(obj, Address):
            return drifted or (gone and obj.dev in self._devices)
        if isinstance(obj, Link) and obj.name in self._devices:
            down = gone or not obj.up
            drifted = drifted or down != (obj.name in self._down) or self._has_other_settings(obj)
            (self._down.add if down else self._down.discard)(obj.name)
        return drifted

    def _has_other_settings(self, link: Link) -> bool:
        return any(self._actual.get(it.key, it) != it for it in settings_of(link))

    def _kept(self) -> Iterable[NetObject]:
        """Return what is wanted and there, and needs no step."""
        return (obj for key, obj in self._actual.items() if key not in self._dirty and self.parts.get(key))

    def _is_of(self, key: Hashable, media: frozenset[Medium]) -> bool:
        obj = self.parts.get(key) or self._actual.get(key)
        return obj is None or medium_of(obj) in media


def family_of(obj: NetObject) -> Family | None:
    """Return the family of a route, a chain or a hook; other objects are read whatever their family."""
    match obj:
        case Route():
            return 4 if obj.dst.version == 4 else 6
        case Chain() | Jump():
            return obj.family
    return None
