"""Rules for tests of netfilter, as text of `iptables-save`: for Linux, and as objects for the fake kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fabric.kernel.fake_netfilter.packets import Verdict
from fabric.kernel.strictness import BUILT_IN
from fabric.netstate.objects import Chain, Jump, NetObject
from fabric.netstate.rules import Family, Table

Place = tuple[str, str, int]
"""A rule by its table, its chain and its index."""


@dataclass
class RuleSet:
    """The rules of all tables of one family."""

    family: Family
    rules: dict[tuple[Table, str], list[str]] = field(default_factory=dict)
    policies: dict[tuple[Table, str], str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, family: Family = 4) -> RuleSet:
        """Read `*TABLE`, `:CHAIN POLICY` and `-A CHAIN …`; a chain need not be declared, filter is first."""
        found, table = cls(family), "filter"
        for line in filter(None, map(str.strip, text.splitlines())):
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                name, policy = line[1:].split()
                found.policies[table, name] = policy  # type: ignore[index]
            else:
                _, name, *rest = line.split(" ", 2)
                found.rules.setdefault((table, name), []).append("".join(rest))  # type: ignore[arg-type]
        return found

    def objects(self) -> Iterator[NetObject]:
        """Yield the rules as fabric has them."""
        for (table, name), rules in self.rules.items():
            if name not in BUILT_IN[table]:
                yield Chain.parse(table, name, rules, self.family)
                continue
            for order, rule in enumerate(rules):
                yield Jump.parse(table, name, rule, "append", self.family, order)
        for (table, name), policy in self.policies.items():
            if policy == "-":
                yield Chain.parse(table, name, (), self.family)

    def restore(self) -> str:
        """Return what `iptables-restore` takes for all tables to be so, and nothing else in them."""
        lines = []
        for table, built_in in BUILT_IN.items():
            own = {name for it, name in (*self.rules, *self.policies) if it == table}
            lines.append(f"*{table}")
            for name in sorted(built_in | own):
                usual = "ACCEPT" if name in built_in else "-"
                lines.append(f":{name} {self.policies.get((table, name), usual)} [0:0]")
            of_table = (
                (name, rule) for (it, name), rules in self.rules.items() if it == table for rule in rules
            )
            lines += [f"-A {name} {rule}".rstrip() for name, rule in of_table]
            lines.append("COMMIT")
        return "\n".join(lines) + "\n"


def counters(saved: str) -> Counter[Place]:
    """Return how often each rule was met, from the output of `iptables-save -c`."""
    found: Counter[Place] = Counter()
    at: Counter[tuple[str, str]] = Counter()
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        if line.startswith("["):
            counted, _, chain, *_ = line.split(" ", 3)
            place = (table, chain, at[table, chain])
            at[table, chain] += 1
            found[place] += int(counted[1:].split(":")[0])
    return +found


def hits(verdict: Verdict) -> Counter[Place]:
    """Return how often a packet, and the answer to it, met each rule."""
    own = Counter((it.table, it.chain, it.index) for it in verdict.hits)
    return own + hits(verdict.answer) if verdict.answer is not None else own
