"""The chains of a namespace as packets walk them: each made ready when the first packet comes to it.

A built-in chain holds the namespace's hooks in their order, and has a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fabric.kernel.fake_netfilter import matches, targets
from fabric.kernel.fake_netfilter.members import MemberTable
from fabric.kernel.fake_netfilter.packets import Hit, UnknownRule
from fabric.kernel.fake_netfilter.skb import Skb
from fabric.kernel.fake_netfilter.surroundings import Match
from fabric.kernel.fake_netfilter.targets import ACCEPT, DROP, Action, Stop
from fabric.netstate.rules import Chain, Family, IpSet, Rule, Table

Policies = Mapping[tuple[Family, Table, str], str]
"""The policies of built-in chains that are not ACCEPT."""
DEPTH_MAX = 128
_TRACKED = re.compile(r"-m (?:conntrack|connmark)\b|-j (?:MASQUERADE|SNAT|DNAT|CONNMARK)\b")


class Prepared(NamedTuple):
    """A rule ready to be asked, and what is noted when it matches."""

    match: Match | None
    action: Action
    hit: Hit


class Sets(dict[str, MemberTable]):
    """The sets of a namespace by name, each made ready when it is asked first."""

    def __init__(self, sets: Iterable[IpSet]) -> None:
        super().__init__()
        self._sets = {it.name: it for it in sets}

    def __missing__(self, name: str) -> MemberTable:
        if name not in self._sets:
            raise UnknownRule(f"ipset {name}: there is none of that name")
        self[name] = MemberTable(self._sets[name])
        return self[name]


class Chains:
    """The chains of one namespace."""

    def __init__(
        self,
        chains: Iterable[Chain],
        built_in: Mapping[tuple[Family, Table, str], tuple[Rule, ...]],
        policies: Policies,
    ) -> None:
        self._rules = {(it.family, it.table, it.name): it.rules for it in chains}
        self._rules.update(built_in)
        self._policies = policies
        self._tracked: dict[Family, bool] = {}
        self._ready: dict[tuple[Family, Table, str], list[Prepared]] = {}

    def tracks(self, family: Family) -> bool:
        """True when a rule needs connections; else Linux looks none up, and asks no table of nat."""
        if family not in self._tracked:
            rules = (rule for (of, _, _), all_of in self._rules.items() if of == family for rule in all_of)
            self._tracked[family] = any(_TRACKED.search(f"{it.match} {it.action}") for it in rules)
        return self._tracked[family]

    def walk(self, table: Table, skb: Skb, hits: list[Hit]) -> tuple[Stop, str]:
        """Lead a packet through a table's built-in chain of its hook; return how it ends, and by what."""
        place = (skb.family, table, skb.hook)
        rules = iter(self._prepared(*place))
        above = []
        while True:
            for match, action, hit in rules:
                if match is not None and not match(skb):
                    continue
                hits.append(hit)
                if action.do is not None:
                    targets.check_place(action, table, skb.hook, str(hit.rule))
                    stop = action.do(skb)
                    if stop is not None:
                        return stop, str(hit)
                elif action.verb == "jump" or action.verb == "goto":
                    if action.verb == "jump":
                        above.append(rules)
                    if len(above) > DEPTH_MAX:
                        raise UnknownRule(f"{hit}: chains lead back to themselves")
                    rules = iter(self._prepared(skb.family, table, action.chain))
                    break
                elif action.verb == "return":
                    rules = iter(())
                    break
            else:
                if not above:
                    policy = self._policies.get(place, "ACCEPT")
                    return (ACCEPT if policy == "ACCEPT" else DROP), f"policy of {table} {skb.hook}"
                rules = above.pop()

    def _prepared(self, family: Family, table: Table, name: str) -> list[Prepared]:
        place = (family, table, name)
        found = self._ready.get(place)
        if found is None:
            if place not in self._rules and not name.isupper():
                raise UnknownRule(f"{table} {name}: there is no such chain")
            found = self._ready[place] = [
                Prepared(
                    matches.compiled(rule.match, family),
                    targets.compiled(rule.action, family),
                    Hit(table, name, index, rule),
                )
                for index, rule in enumerate(self._rules.get(place, ()))
            ]
        return found
