"""A desired state in parts, each wanted under a name of its own: `peer:node-2`, `policy:default/web`.

The state is the union of the parts. An object that several want stays until the last of them lets it go.
Two different objects of one key cannot be together in the kernel: the one of the part whose name comes first
is taken, always the same, and the conflict is told.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from fabric.netstate.objects import NetObject, NetState

_Claim = tuple[str, NetObject]


class Parts:
    """The parts by name, and their union by key; a change of one part costs that part."""

    def __init__(self) -> None:
        self._parts: dict[str, NetState] = {}
        self._claims: dict[Hashable, tuple[_Claim, ...]] = {}
        """Who wants what of a key, the one that is taken first."""
        self._torn: set[Hashable] = set()
        """Keys of which two different objects are wanted."""

    def put(self, part: str, state: Iterable[NetObject]) -> set[Hashable]:
        """Set what a part wants; return the keys of which another object is wanted now."""
        new = state if isinstance(state, frozenset) else frozenset(state)
        old = self._parts.get(part, frozenset())
        if new is old:
            return set()
        if new:
            self._parts[part] = new
        else:
            self._parts.pop(part, None)
        return {
            *(obj.key for obj in old - new if self._drop(obj.key, (part, obj))),
            *(obj.key for obj in new - old if self._add(obj.key, (part, obj))),
        }

    def state_of(self, part: str) -> NetState | None:
        return self._parts.get(part)

    def get(self, key: Hashable) -> NetObject | None:
        """Return the object that is wanted of a key."""
        claims = self._claims.get(key)
        return claims[0][1] if claims else None

    def keys(self) -> Iterator[Hashable]:
        return iter(self._claims)

    def objects(self) -> Iterator[NetObject]:
        """The union."""
        return (claims[0][1] for claims in self._claims.values())

    def __contains__(self, part: object) -> bool:
        return part in self._parts

    def __iter__(self) -> Iterator[str]:
        """The names of the parts that want anything."""
        return iter(self._parts)

    def conflicts(self) -> list[str]:
        """Say of each key that is torn which object is taken and which is not."""
        found: list[str] = []
        for claims in (self._claims[key] for key in self._torn):
            part, taken = claims[0]
            other, refused = next(claim for claim in claims if claim[1] != taken)
            found.append(f"{part} wants {taken}, and {other} wants {refused}: the first is taken")
        return sorted(found)

    def _add(self, key: Hashable, claim: _Claim) -> bool:
        return self._settle(key, (*self._claims.get(key, ()), claim))

    def _drop(self, key: Hashable, claim: _Claim) -> bool:
        claims = list(self._claims[key])
        claims.remove(claim)
        return self._settle(key, tuple(claims))

    def _settle(self, key: Hashable, claims: tuple[_Claim, ...]) -> bool:
        """Note the claims of a key; True when another object is wanted than before."""
        before = self.get(key)
        torn = any(obj != claims[0][1] for _, obj in claims[1:])
        if torn:
            claims = tuple(sorted(claims, key=lambda claim: (claim[0], str(claim[1]))))
            self._torn.add(key)
        else:
            self._torn.discard(key)
        if claims:
            self._claims[key] = claims
        else:
            del self._claims[key]
        return self.get(key) != before
