"""The text of `iptables-save` read into chains and jumps, and steps written as `iptables-restore` takes them.

A pass is one text: chains first (declaring one empties it), then their rules, then the jumps of the built-in
chains, then the chains that go. Linux takes a table's part as a whole or not at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fabric.netstate.plan import Step
from fabric.netstate.rules import Chain, Family, Jump, Table


@dataclass
class Saved:
    """What `iptables-save` printed of one family."""

    chains: dict[tuple[Table, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """Rules of every chain, without `-A CHAIN`."""
    built_in: set[tuple[Table, str]] = field(default_factory=set)

    def objects(self, family: Family) -> Iterable[Chain | Jump]:
        """Yield the chains that are not built in, and every rule of those that are."""
        for (table, name), rules in self.chains.items():
            if (table, name) not in self.built_in:
                yield Chain(table, name, tuple(rules), family)
                continue
            for n, rule in enumerate(rules):
                is_first_of_many = n == 0 and len(rules) > 1
                yield Jump(table, name, rule, "insert" if is_first_of_many else "append", family)


def parse(text: str) -> Saved:
    """Read the output of `iptables-save`."""
    saved = Saved()
    table: Table = "filter"
    for line in text.splitlines():
        match line[:1]:
            case "*":
                table = line[1:]  # type: ignore[assignment]
            case ":":
                name, policy, *_ = line[1:].split()
                saved.chains[table, name] = []
                if policy != "-":
                    saved.built_in.add((table, name))
            case "-":
                _, name, *rest = line.split(" ", 2)
                saved.chains[table, name].append(rest[0] if rest else "")
    return saved


def compose(steps: Sequence[Step], saved: Saved) -> str:
    """Return the text for `iptables-restore --noflush` that carries out the steps of one family.

    `saved` is what is there: a jump is put exactly once, and what is gone already is not deleted again.
    """
    by_table: Mapping[Table, list[Step]] = defaultdict(list)
    for step in steps:
        if isinstance(step.obj, Chain | Jump):
            by_table[step.obj.table].append(step)
    text = ""
    for table, of_table in by_table.items():
        lines = _lines(of_table, saved)
        text += f"*{table}\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n" if lines else ""
    return text


def _lines(steps: Sequence[Step], saved: Saved) -> list[str]:
    declared: list[str] = []
    rules: list[str] = []
    gone: list[str] = []
    for step in steps:
        match step.obj:
            case Chain(table=table, name=name) if step.verb == "delete":
                if (table, name) in saved.chains:
                    declared.append(f":{name} - [0:0]")
                    gone.append(f"-X {name}")
            case Chain(name=name) as chain:
                declared.append(f":{name} - [0:0]")
                rules += [f"-A {name} {rule}".rstrip() for rule in chain.rules]
    return declared + rules + _jumps([s for s in steps if isinstance(s.obj, Jump)], saved) + gone


def _jumps(steps: Sequence[Step], saved: Saved) -> list[str]:
    lines: list[str] = []
    there = Counter(
        {(key, rule): n for key, rules in saved.chains.items() for rule, n in Counter(rules).items()}
    )
    for step in steps:
        jump = step.obj
        assert isinstance(jump, Jump)
        count = there[(jump.table, jump.chain), jump.rule]
        wanted = 0 if step.verb == "delete" else 1
        lines += [f"-D {jump.chain} {jump.rule}"] * (count - wanted)
        if count < wanted:
            lines.append(f"{'-I' if jump.position == 'insert' else '-A'} {jump.chain} {jump.rule}")
    return lines
