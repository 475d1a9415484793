"""Rules and sets as frozen values: what `iptables-save` and `ipset save` print of one owner.

`fabric.netstate.objects` names them all; they stand here because nothing of them is a device's.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from fabric.netstate.members import Members

Family = Literal[4, 6]
Table = Literal["filter", "nat", "mangle", "raw"]
Position = Literal["insert", "append", "anywhere", "alone", "middle"]
_MEMBERS_TOLD_MAX = 20
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_ACTION = re.compile(r"(?:^| )(-[jg] \S)")


@dataclass(frozen=True, slots=True)
class IpSet:
    """An ipset with all its members, in the words of `ipset save`."""

    name: str
    type: str = "hash:net"
    family: Family = 4
    members: Set[str] = field(default=frozenset(), hash=False)
    """A frozenset, or `Members` where a set is large and changes little by little."""

    def changed(self, come: Iterable[str] = (), go: Iterable[str] = ()) -> IpSet:
        """Return the set with some members more and some fewer, at the cost of these."""
        members = self.members if isinstance(self.members, Members) else Members(self.members)
        return replace(self, members=members.changed(come, go))

    @property
    def key(self) -> Hashable:
        return ("ipset", self.name)

    def __str__(self) -> str:
        few = len(self.members) <= _MEMBERS_TOLD_MAX
        members = (
            [f"add {self.name} {it}" for it in sorted(self.members)]
            if few
            else [f"({len(self.members)} members)"]
        )
        head = f"ipset {self.name} {self.type} family inet{'6' * (self.family == 6)}"
        return "\n  ".join([head, *members])


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a chain: which packets it takes, what becomes of them, and which object asked for it.

    Match and action together are the rule as `iptables-save` prints it, without `-A CHAIN`. The origin names
    the object that made the rule (a policy's rule, a service's port, a plugin); Linux knows nothing of it.
    """

    match: str
    """`-s 10.244.0.0/16 -m comment --comment "…"`; empty for every packet."""
    action: str = ""
    """`-j ACCEPT`, `-j MASQUERADE --random-fully`, `-g KUBE-SVC-…`; empty for a rule that only counts."""
    origin: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str, origin: str = "") -> Rule:
        """Read a rule as `iptables-save` prints it, without `-A CHAIN`."""
        found = _ACTION.search(_QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text))
        if found is None:
            return cls(text, "", origin)
        return cls(text[: found.start(1)].rstrip(), text[found.start(1) :], origin)

    @property
    def target(self) -> str:
        """The chain or the target that the action leads to, or empty."""
        return self.action.split(" ", 2)[1] if self.action else ""

    def __str__(self) -> str:
        return f"{self.match} {self.action}".strip()


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of our own with all its rules in order."""

    table: Table
    name: str
    rules: tuple[Rule, ...] = ()
    family: Family = 4

    @classmethod
    def parse(
        cls, table: Table, name: str, texts: Iterable[str] = (), family: Family = 4, origin: str = ""
    ) -> Chain:
        """Return the chain of the rules that read so in `iptables-save`."""
        return cls(table, name, tuple(Rule.parse(text, origin) for text in texts), family)

    @property
    def key(self) -> Hashable:
        return ("chain", self.family, self.table, self.name)

    def __str__(self) -> str:
        head = f"chain {self.table} {self.name}{_family(self.family)}"
        return head + "".join(f"\n  -A {self.name} {rule}" for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Jump:
    """A rule of ours in a built-in chain: the hook by which packets come into our chains.

    `insert` wants it at the chain's top, `append` at its end, and it is put back there; other hooks of ours
    may stand beside it, those of a lower order before it. `anywhere` is inserted where it is missing, and
    left where it is. What is read may also be `alone`, which is both top and end, or in the `middle`, which
    is neither.
    """

    table: Table
    chain: str
    rule: Rule
    position: Position = "append"
    family: Family = 4
    order: int = 0
    """The place among the hooks at one place of the chain, whoever put them there."""

    @classmethod
    def parse(
        cls,
        table: Table,
        chain: str,
        text: str,
        position: Position = "append",
        family: Family = 4,
        order: int = 0,
    ) -> Jump:
        """Return the hook whose rule reads so in `iptables-save`."""
        return cls(table, chain, Rule.parse(text), position, family, order)

    @property
    def key(self) -> Hashable:
        return ("jump", self.family, self.table, self.chain, str(self.rule))

    def stands_at(self, actual: Position) -> bool:
        """True when a rule that was found at `actual` is where this one wants to be."""
        return actual in (self.position, "alone") or self.position == "anywhere"

    def __str__(self) -> str:
        flag = "-A" if self.position == "append" else "-I"
        return f"rule {self.table} {flag} {self.chain} {self.rule}{_family(self.family)}"


def position_of(
    index: int, rules: Sequence[Hashable], tops: Mapping[Hashable, int], ends: Mapping[Hashable, int]
) -> Position:
    """Return where a rule stands in a built-in chain; `tops` and `ends` are our hooks and their orders."""
    rule = rules[index]
    before, after = rules[:index], rules[index + 1 :]
    if rule in before or rule in after:
        return "middle"
    own = tops.get(rule, ends.get(rule, 0))
    is_top = all(tops.get(it, own + 1) <= own for it in before) and not any(
        tops.get(it, own) < own for it in after
    )
    is_end = all(ends.get(it, own - 1) >= own for it in after) and not any(
        ends.get(it, own) > own for it in before
    )
    if is_top and is_end:
        return "alone"
    return "insert" if is_top else "append" if is_end else "middle"


def index_for(
    jump: Jump, rules: Sequence[Hashable], tops: Mapping[Hashable, int], ends: Mapping[Hashable, int]
) -> int:
    """Return where in a built-in chain a hook is to be put in: at its place, and in its order there."""
    if jump.position != "append":
        return next((at for at, it in enumerate(rules) if tops.get(it, jump.order) >= jump.order), len(rules))
    later = next(
        (at for at, it in enumerate(reversed(rules)) if ends.get(it, jump.order) <= jump.order), len(rules)
    )
    return len(rules) - later


def _family(family: Family) -> str:
    return " (IPv6)" if family == 6 else ""
