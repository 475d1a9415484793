"""Rules and sets of one namespace, read and written by iptables and ipset themselves.

A write lists the chains that it touches before and after, and no others: what was printed after it is how a
later reading knows these chains again (`printed`). Mostly it knows what will be there, and one tool lists,
writes and lists again; where it was mistaken, all is done once more, step by step. A set is written without
being read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from errno import EEXIST

from fabric.errors import KernelRefused
from fabric.kernel import programs, sets, tables
from fabric.kernel.netlink import NetlinkError
from fabric.kernel.printed import Printed
from fabric.kernel.programs import ToolFailed
from fabric.kernel.writer import refusal
from fabric.netstate.objects import NetObject
from fabric.netstate.plan import Step, matches
from fabric.netstate.rules import Chain, Family, IpSet, Jump, Table

FAMILIES: tuple[Family, ...] = (4, 6)
_LISTED_MAX = 8
"""A chain costs 1 to 2 ms to list by itself; beyond so many, all are printed at once."""
_NO_CHAIN = "No chain"


class Netfilter:
    """The rules and sets of one namespace, read and written; not to be shared by threads."""

    def __init__(
        self, namespace: str, run: Callable[[Sequence[str], str], str], flavour: Callable[[], str]
    ) -> None:
        """`run` runs a tool in the namespace with a text and returns its output, or raises ToolFailed."""
        self._namespace = namespace
        self._run = run
        self._flavour = flavour
        self._printed = {family: Printed(family) for family in FAMILIES}

    def rules(self, families: Iterable[Family]) -> Iterator[Chain | Jump]:
        """Yield each chain, and each rule of the built-in chains."""
        for family in sorted(families):
            saved = self._saved(family)
            yield from self._printed[family].objects(saved.chains, saved.built_in)

    def sets(self) -> Iterator[IpSet]:
        return sets.parse(self._run(("ipset", "save"), ""))

    def write_rules(self, steps: Sequence[Step]) -> None:
        """Carry out steps of chains and jumps, one transaction a family and table."""
        for family in FAMILIES:
            own = [s for s in steps if isinstance(s.obj, Chain | Jump) and s.obj.family == family]
            if own:
                self._write_family(family, own)

    def write_sets(self, steps: Sequence[Step]) -> None:
        """Carry out steps of sets; only after a refusal it is looked which sets there are."""
        known = {step.obj.key: step.obj for step in steps if step.verb != "add"}
        try:
            self._run(("ipset", "restore"), sets.compose(steps, {it.name for it in _sets(known.values())}))
        except ToolFailed:
            saved = self._run(("ipset", "save"), "")
            self._refuse_others(steps, {it.key: it for it in sets.parse(saved)})
            self._restore(steps, ("ipset", "restore"), sets.compose(steps, sets.names(saved)))

    def _write_family(self, family: Family, steps: Sequence[Step]) -> None:
        before = tables.assumed(steps, self._printed[family])
        left = steps if before is None else self._write_at_once(family, steps, before)
        if left:
            self._write_by_steps(family, left)

    def _write_at_once(self, family: Family, steps: Sequence[Step], before: tables.Saved) -> Sequence[Step]:
        """Write on the assumption that `before` is there; return what is to be done where it was not."""
        printed, first = self._printed[family], list(before.chains)
        last = [_place(step) for step in steps if step.verb != "delete"]
        text = tables.compose(steps, before, printed)
        text = tables.listings(first) + text + tables.listings(last)
        try:
            output = self._run(programs.restore(self._flavour(), family), text)
        except ToolFailed:
            return steps
        found = tables.parse_listings(output, [*first, *last])
        if found is None or found[: len(first)] != list(before.chains.values()):
            return [replace(step, verb="replace") if step.verb == "add" else step for step in steps]
        printed.remember(steps, before.chains, dict(zip(last, found[len(first) :], strict=True)))
        return ()

    def _write_by_steps(self, family: Family, steps: Sequence[Step]) -> None:
        printed = self._printed[family]
        touched = list(dict.fromkeys(_place(step) for step in steps))
        before = self._listed(family, touched)
        there = printed.objects(before.chains, before.built_in)
        self._refuse_others(steps, {it.key: it for it in there if isinstance(it, Chain)})
        text = tables.compose(steps, before, printed)
        after = before
        if text:
            self._restore(steps, programs.restore(self._flavour(), family), text)
            after = self._listed(family, touched)
        printed.remember(steps, before.chains, after.chains)

    def _saved(self, family: Family) -> tables.Saved:
        return tables.parse(self._run(programs.save(self._flavour(), family), ""))

    def _listed(self, family: Family, touched: Sequence[tuple[Table, str]]) -> tables.Saved:
        """Return at least the chains that are touched, as they are now."""
        if len(touched) > _LISTED_MAX:
            return self._saved(family)
        listed = tables.Saved()
        for table, name in touched:
            try:
                text = self._run(programs.listing(self._flavour(), family, table, name), "")
            except ToolFailed as error:
                if _NO_CHAIN not in str(error):
                    return self._saved(family)
            else:
                tables.parse(text, table, listed)
        return listed

    def _refuse_others(self, steps: Sequence[Step], there: Mapping[object, NetObject]) -> None:
        for step in steps:
            found = there.get(step.obj.key)
            if step.verb == "add" and found is not None and not matches(step.obj, found):
                raise refusal(self._namespace, step, NetlinkError(EEXIST, "File exists"))

    def _restore(self, steps: Sequence[Step], command: Sequence[str], text: str) -> None:
        if not text:
            return
        try:
            self._run(command, text)
        except ToolFailed as error:
            more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
            first = str(steps[0]).split("\n", 1)[0]
            raise KernelRefused(f"{self._namespace}: {first}{more}: {error}") from error


def _place(step: Step) -> tuple[Table, str]:
    assert isinstance(step.obj, Chain | Jump)
    name = step.obj.name if isinstance(step.obj, Chain) else step.obj.chain
    return step.obj.table, name


def _sets(objects: Iterable[NetObject]) -> Iterator[IpSet]:
    return (it for it in objects if isinstance(it, IpSet))
