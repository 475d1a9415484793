"""The text of iptables: listings read, and steps written as `iptables-restore` takes them.

A pass is one text: chains first (declaring one that is there empties it), then their rules, then the jumps of
the built-in chains, then the chains that go. Linux takes a table's part as a whole or not at all. A chain
that stands as it was written is changed by single rules, so that the counters of the others live on. The text
may ask for listings, too: a tool that starts once reads, writes and reads again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from fabric.kernel.printed import Printed, index_in, position_in
from fabric.netstate.plan import Step
from fabric.netstate.rules import Chain, Jump, Rule, Table

_EDITED_MAX = 200
"""Rules between the first and the last that differ; beyond it a chain is written anew."""


@dataclass
class Saved:
    """The output of iptables-save for one family: all of it, or some chains."""

    chains: dict[tuple[Table, str], list[str]] = field(default_factory=dict)
    """Rules of every chain, without `-A CHAIN`."""
    built_in: set[tuple[Table, str]] = field(default_factory=set)


def parse(text: str, table: Table = "filter", saved: Saved | None = None) -> Saved:
    """Read the output of `iptables-save`, or of `iptables -t TABLE -S CHAIN` into `saved`."""
    saved = saved if saved is not None else Saved()
    for line in text.splitlines():
        match line[:2].rstrip():
            case "*f" | "*n" | "*m" | "*r" | "*s":
                table = line[1:]  # type: ignore[assignment]
            case "-A":
                _, name, *rest = line.split(" ", 2)
                saved.chains[table, name].append(rest[0] if rest else "")
            case "-N" | "-P":
                flag, name, *_ = line.split()
                _declare(saved, table, name, is_built_in=flag == "-P")
            case head if head.startswith(":"):
                name, policy, *_ = line[1:].split()
                _declare(saved, table, name, is_built_in=policy != "-")
    return saved


def compose(steps: Sequence[Step], saved: Saved, printed: Printed) -> str:
    """Return the text for `iptables-restore --noflush` that carries out the steps of one family.

    `saved` is what is there of the chains concerned: what stands already is not written again, and what is
    gone already is not deleted again.
    """
    by_table: Mapping[Table, list[Step]] = defaultdict(list)
    for step in steps:
        if isinstance(step.obj, Chain | Jump):
            by_table[step.obj.table].append(step)
    text = ""
    for table, of_table in by_table.items():
        lines = _lines(of_table, saved, printed)
        text += f"*{table}\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n" if lines else ""
    return text


def assumed(steps: Sequence[Step], printed: Printed) -> Saved | None:
    """Return the chains of the steps as they must be if nobody else changed them; None where nobody can tell.

    A chain that is to come is assumed not to be there.
    """
    saved = Saved()
    for step in steps:
        if not isinstance(step.obj, Chain):
            return None
        place = (step.obj.table, step.obj.name)
        lines = printed.lines(*place)
        if (lines is None) != (step.verb == "add"):
            return None
        if lines is not None:
            saved.chains[place] = list(lines)
    return saved


def listings(chains: Iterable[tuple[Table, str]]) -> str:
    """Return the text for `iptables-restore` that prints chains, one after the other."""
    return "".join(f"*{table}\n-S {name}\nCOMMIT\n" for table, name in chains)


def parse_listings(text: str, chains: Sequence[tuple[Table, str]]) -> list[list[str]] | None:
    """Read what `listings` of these chains printed: the rules of each; None when it is something else."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("-N "):
            if len(found) == len(chains) or line[3:] != chains[len(found)][1]:
                return None
            found.append([])
        elif line.startswith("-A "):
            found[-1].append(line.split(" ", 2)[2] if line.count(" ") > 1 else "")
    return found if len(found) == len(chains) else None


def _declare(saved: Saved, table: Table, name: str, *, is_built_in: bool) -> None:
    saved.chains[table, name] = []
    if is_built_in:
        saved.built_in.add((table, name))


def _lines(steps: Sequence[Step], saved: Saved, printed: Printed) -> list[str]:
    declared: list[str] = []
    rules: list[str] = []
    gone: list[str] = []
    jumps: list[str] = []
    hooked: dict[str, _Hooked] = {}
    for step in steps:
        match step.obj:
            case Chain(table=table, name=name) if step.verb == "delete":
                if (table, name) in saved.chains:
                    declared.append(f":{name} - [0:0]")
                    gone.append(f"-X {name}")
            case Chain() as chain:
                there = saved.chains.get((chain.table, chain.name))
                old = None if there is None else printed.chain(chain.table, chain.name, there)
                edits = None if old is None else _edits(chain.name, old.rules, chain.rules)
                if edits is None:
                    declared.append(f"-N {chain.name}" if there is None else f":{chain.name} - [0:0]")
                    edits = [f"-A {chain.name} {rule}".rstrip() for rule in chain.rules]
                rules += edits
            case Jump() as jump:
                if jump.chain not in hooked:
                    place = (jump.table, jump.chain)
                    hooked[jump.chain] = _Hooked(list(saved.chains.get(place, [])), printed.hooks(*place))
                jumps += _moves(step, jump, hooked[jump.chain], printed)
    return declared + rules + jumps + gone


def _edits(name: str, old: Sequence[Rule], new: Sequence[Rule]) -> list[str] | None:
    """Return the lines that turn a chain's rules into others, or None when it had better be written anew.

    They go from the end of the chain to its beginning, so that the numbers of rules hold.
    """
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(before), len(after)) > _EDITED_MAX:
        return None
    lines: list[str] = []
    for tag, i1, i2, j1, j2 in reversed(SequenceMatcher(None, before, after, autojunk=False).get_opcodes()):
        if tag == "equal":
            continue
        lines += [f"-D {name} {start + number}" for number in range(i2, i1, -1)]
        if start + i2 == len(old):
            lines += [f"-A {name} {rule}" for rule in after[j1:j2]]
        else:
            lines += [f"-I {name} {start + i1 + 1} {rule}" for rule in reversed(after[j1:j2])]
    return lines if 2 * len(lines) <= len(old) + len(new) else None


@dataclass
class _Hooked:
    """A built-in chain as the lines written so far leave it: its rules, and our hooks among them."""

    rules: list[str]
    hooks: dict[str, Jump]


def _moves(step: Step, jump: Jump, there: _Hooked, printed: Printed) -> Iterable[str]:
    """Return the lines after which a jump is there once and in its place, or not at all."""
    found = printed.lines_of(jump, there.rules)
    line = found[0] if found else str(jump.rule)
    if step.verb == "delete":
        there.hooks.pop(line, None)
    else:
        there.hooks[line] = jump
        if found and jump.stands_at(position_in(there.rules, there.rules.index(line), there.hooks)):
            return []
    there.rules = [rule for rule in there.rules if rule not in found]
    deletions = [f"-D {jump.chain} {rule}" for rule in found]
    if step.verb == "delete":
        return deletions
    at = index_in(there.rules, jump, there.hooks)
    is_last = jump.position == "append" and at == len(there.rules)
    where = f"-A {jump.chain}" if is_last else f"-I {jump.chain} {at + 1}" if at else f"-I {jump.chain}"
    there.rules.insert(at, line)
    return [*deletions, f"{where} {jump.rule}"]
