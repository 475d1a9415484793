"""The memory of what Linux printed of our rules after we wrote them shows whether somebody changed them.

iptables prints a rule in its own words, which differ from version to version and between its flavours. So
what is there now is compared with what was printed then, chain by chain, and never with our own text; only
of chains that were written by an earlier process, or by nobody, nothing else is known than their text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from fabric.netstate.plan import Step
from fabric.netstate.rules import Chain, Family, Jump, Position, Rule, Table, index_for, position_of

Chains = Mapping[tuple[Table, str], Sequence[str]]


class Printed:
    """The memory of one namespace and one family."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._chains: dict[tuple[Table, str], tuple[Chain, tuple[str, ...]]] = {}
        self._hooks: dict[tuple[Table, str], dict[str, Jump]] = {}
        """The jumps that we put into each built-in chain, by what was printed of them."""

    def objects(self, chains: Chains, built_in: Iterable[tuple[Table, str]] = ()) -> Iterable[Chain | Jump]:
        """Yield what a listing shows: chains of anybody's, and each different rule of the built-in ones."""
        kernel_s = frozenset(built_in)
        for (table, name), lines in chains.items():
            if (table, name) not in kernel_s:
                yield self.chain(table, name, lines)
                continue
            hooks = self._hooks.get((table, name), {})
            for line in dict.fromkeys(lines):
                known = hooks.get(line)
                rule = known.rule if known else Rule.parse(line)
                position = self.position(table, name, lines, lines.index(line))
                if known and known.stands_at(position):
                    position = known.position
                yield Jump(table, name, rule, position, self._family, known.order if known else 0)

    def chain(self, table: Table, name: str, lines: Sequence[str]) -> Chain:
        """Return what we wrote, while it is printed as it was then; else what the lines read as."""
        known = self._chains.get((table, name))
        if known is not None and known[1] == tuple(lines):
            return known[0]
        return Chain.parse(table, name, lines, self._family)

    def lines(self, table: Table, name: str) -> tuple[str, ...] | None:
        """Return what was printed of a chain after we wrote it; None of a chain that we did not write."""
        known = self._chains.get((table, name))
        return known[1] if known is not None else None

    def position(self, table: Table, name: str, lines: Sequence[str], index: int) -> Position:
        """Return where the rule of that index stands in a built-in chain."""
        return position_in(lines, index, self.hooks(table, name))

    def hooks(self, table: Table, name: str) -> dict[str, Jump]:
        """Return the jumps that we put into a built-in chain, by what was printed of them."""
        return dict(self._hooks.get((table, name), {}))

    def lines_of(self, jump: Jump, lines: Sequence[str]) -> list[str]:
        """Return each line of a built-in chain that is the jump."""
        hooks = self._hooks.get((jump.table, jump.chain), {})
        text = str(jump.rule)
        return [line for line in lines if line == text or (line in hooks and hooks[line].key == jump.key)]

    def remember(self, steps: Iterable[Step], before: Chains, after: Chains) -> None:
        """Note what is printed of what the steps wrote; of what cannot be ours to the rule, nothing."""
        for step in steps:
            match step.obj:
                case Chain(table=table, name=name) as chain:
                    self._chains.pop((table, name), None)
                    lines = tuple(after.get((table, name), ()))
                    if step.verb != "delete" and (table, name) in after and len(lines) == len(chain.rules):
                        self._chains[table, name] = (chain, lines)
                case Jump() as jump:
                    place = (jump.table, jump.chain)
                    hooks = self._hooks.setdefault(place, {})
                    known = [line for line, other in hooks.items() if other.key == jump.key]
                    line = _written(jump, known, before.get(place, ()), after.get(place, ()))
                    for old in known:
                        del hooks[old]
                    if step.verb != "delete" and line:
                        hooks[line] = jump


def _written(jump: Jump, known: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
    """Return the line that is the jump: as known, as we wrote it, or a new one that leads where it leads."""
    for line in (*known, str(jump.rule)):
        if line in after:
            return line
    new = Counter(after) - Counter(before)
    return next((line for line in new if Rule.parse(line).target == jump.rule.target), "")


def position_in(lines: Sequence[str], index: int, hooks: Mapping[str, Jump]) -> Position:
    """Return where the rule of that index stands in a built-in chain with these hooks of ours."""
    return position_of(index, lines, *_tops_and_ends(hooks))


def index_in(lines: Sequence[str], jump: Jump, hooks: Mapping[str, Jump]) -> int:
    """Return where a hook is to be put into a built-in chain with these hooks of ours."""
    return index_for(jump, lines, *_tops_and_ends(hooks))


def _tops_and_ends(hooks: Mapping[str, Jump]) -> tuple[dict[Hashable, int], dict[Hashable, int]]:
    tops: dict[Hashable, int] = {it: jump.order for it, jump in hooks.items() if jump.position == "insert"}
    ends: dict[Hashable, int] = {it: jump.order for it, jump in hooks.items() if jump.position == "append"}
    return tops, ends
