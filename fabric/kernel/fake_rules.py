"""The order of rules in the fake kernel's built-in chains: where hooks stand, and which of them are ours."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from fabric.netstate.rules import Jump, Position, position_of

_Place = tuple[int, str, str]


class BuiltInChains:
    """The rules of every built-in chain of one namespace, by their keys."""

    def __init__(self) -> None:
        self._rules: dict[_Place, list[Hashable]] = {}
        self._tops: set[Hashable] = set()
        self._ends: set[Hashable] = set()

    def copy(self) -> BuiltInChains:
        other = BuiltInChains()
        other._rules = {place: list(rules) for place, rules in self._rules.items()}
        other._tops, other._ends = set(self._tops), set(self._ends)
        return other

    def put(self, jump: Jump, *, is_ours: bool) -> None:
        """Put a rule in its place, unless it stands there."""
        rules = self._rules.setdefault((jump.family, jump.table, jump.chain), [])
        if not (is_ours and jump.key in rules and jump.stands_at(self._position(jump, rules))):
            self.drop(jump)
            rules.insert(len(rules) if jump.position == "append" else 0, jump.key)
        if is_ours and jump.position == "insert":
            self._tops.add(jump.key)
        if is_ours and jump.position == "append":
            self._ends.add(jump.key)

    def drop(self, jump: Jump) -> None:
        rules = self._rules.get((jump.family, jump.table, jump.chain), [])
        if jump.key in rules:
            rules.remove(jump.key)
        self._tops.discard(jump.key)
        self._ends.discard(jump.key)

    def seen(self, jump: Jump) -> Jump:
        """Return the rule as it is read: in its place, or where it stands."""
        position = self._position(jump, self._rules[jump.family, jump.table, jump.chain])
        is_ours = jump.key in self._tops | self._ends
        return jump if is_ours and jump.stands_at(position) else replace(jump, position=position)

    def _position(self, jump: Jump, rules: list[Hashable]) -> Position:
        return position_of(rules.index(jump.key), rules, self._tops, self._ends)
