"""The order of rules in the fake kernel's built-in chains: where hooks stand, and which of them are ours."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from fabric.netstate.rules import Family, Jump, Position, Table, index_for, position_of

_Place = tuple[int, str, str]


class BuiltInChains:
    """The rules of every built-in chain of one namespace, by their keys."""

    def __init__(self) -> None:
        self._rules: dict[_Place, list[Hashable]] = {}
        self._tops: dict[Hashable, int] = {}
        self._ends: dict[Hashable, int] = {}

    def copy(self) -> BuiltInChains:
        other = BuiltInChains()
        other._rules = {place: list(rules) for place, rules in self._rules.items()}
        other._tops, other._ends = dict(self._tops), dict(self._ends)
        return other

    def put(self, jump: Jump, *, is_ours: bool) -> None:
        """Put a rule in its place, unless it stands there."""
        rules = self._rules.setdefault((jump.family, jump.table, jump.chain), [])
        if not (is_ours and jump.key in rules and jump.stands_at(self._position(jump, rules))):
            self.drop(jump, is_ours=False)
            orders = (self._tops, self._ends) if is_ours else ({}, {})
            rules.insert(index_for(jump, rules, *orders), jump.key)
        if is_ours and jump.position == "insert":
            self._tops[jump.key] = jump.order
        if is_ours and jump.position == "append":
            self._ends[jump.key] = jump.order

    def drop(self, jump: Jump, *, is_ours: bool) -> None:
        """Remove a rule; one that a stranger removes is known when it comes back."""
        rules = self._rules.get((jump.family, jump.table, jump.chain), [])
        if jump.key in rules:
            rules.remove(jump.key)
        if is_ours:
            self._tops.pop(jump.key, None)
            self._ends.pop(jump.key, None)

    def seen(self, jump: Jump) -> Jump:
        """Return the rule as it is read: in its place, or where it stands."""
        position = self._position(jump, self._rules[jump.family, jump.table, jump.chain])
        is_ours = jump.key in self._tops or jump.key in self._ends
        return jump if is_ours and jump.stands_at(position) else replace(jump, position=position)

    def rules_of(self, table: Table, chain: str, family: Family) -> tuple[str, ...]:
        """Return the rules of a built-in chain in their order, as they read."""
        return tuple(str(key[-1]) for key in self.keys_of(table, chain, family) if isinstance(key, tuple))

    def keys_of(self, table: Table, chain: str, family: Family) -> tuple[Hashable, ...]:
        """Return the keys of a built-in chain's rules in their order."""
        return tuple(self._rules.get((family, table, chain), ()))

    def _position(self, jump: Jump, rules: list[Hashable]) -> Position:
        return position_of(rules.index(jump.key), rules, self._tops, self._ends)
